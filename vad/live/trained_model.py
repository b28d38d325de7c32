"""A model that the pipeline trained, with the parameters of all processors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vad.branches.base import Branch
from vad.branches.params import BranchesParams, MeasureParams
from vad.flow import FlowMethod, FlowParams
from vad.footage.extract_params import ExtractParams
from vad.pipeline import params
from vad.regions import PreprocessParams, RegionMode
from vad.scoring.calibration import Calibration
from vad.windows.spec import ModelName, ResizeParams, TensorSpec, WindowSpec

PARAMS = Path("params.yaml")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
CALIBRATION, CACHE = Path("models/calibration.json"), Path(".cache")


@dataclass(frozen=True)
class TrainedModel:
    """Everything that scoring needs. Several sessions may share a model.

    Attributes:
        extract: rate, size and colour of the frames.
        flow: the method of optical flow.
        mode: the mode of preprocessing, with its weights.
        spec: channels and size of tensors, and the frames of a window.
        branches: the sources of error, opened.
        cell: pixels of the frame per cell of a map, in each direction.
        calibration: turns errors into scores.
    """

    extract: ExtractParams
    flow: FlowMethod
    mode: RegionMode
    spec: TensorSpec
    branches: Sequence[Branch]
    cell: int
    calibration: Calibration

    @classmethod
    def load(cls, folder: Path = Path()) -> "TrainedModel":
        """Loads the model of a project in which the stages have run up to `calibrate`.

        Args:
            folder: root folder of the project, with params.yaml and models/. Paths in params.yaml are
                relative to the current folder, as for the stages.

        Raises:
            UserError: if a file is missing or broken, a parameter is wrong, or the mode of preprocessing
                cannot be used live, since it looks ahead without limit.
        """
        raw = params.read(folder / PARAMS)
        _, flow, flow_params = params.load_choice("flow", FlowParams, raw)
        preprocess, mode_class, mode_params = params.load_choice("preprocess", PreprocessParams, raw)
        mode: RegionMode = mode_class(mode_params, preprocess.foreground)
        mode.refuse_live()
        mode.prepare(folder / CACHE)
        name = params.load("model", ModelName, raw).name
        window = params.load(f"model.{name}.window", WindowSpec, raw)
        branches = [
            branch(branch_params)
            for branch, branch_params in params.load_each("branches", BranchesParams, raw).values()
        ]
        for branch in branches:
            branch.open(folder / AUTOENCODER, folder / STATISTICS / branch.name)
        return cls(
            extract=params.load("extract", ExtractParams, raw),
            flow=flow(flow_params),
            mode=mode,
            spec=TensorSpec.of(params.load("resize", ResizeParams, raw), window),
            branches=branches,
            cell=params.load("measure", MeasureParams, raw).cell,
            calibration=Calibration.load(folder / CALIBRATION),
        )
