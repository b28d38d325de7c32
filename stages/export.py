"""Writes the deployed model: a folder with all that scoring needs, which runs without torch and without DVC.

In: data/manifest.csv, data/tensors/train (what the model learned from), data/body_height.json;
models/autoencoder/, models/branches/, models/calibration.json; LICENSE. Out: models/deployed/.
"""

from pathlib import Path

import numpy as np
import torch

from vad.branches.ensemble import trained_folds
from vad.branches.params import BranchesParams, MeasureParams
from vad.branches.window_errors import WindowErrors
from vad.export import ModelParts, export
from vad.export.training_footage import cameras
from vad.flow import FlowParams
from vad.footage.extract_params import ExtractParams
from vad.footage.params import SourceParams
from vad.live.trained_model import picture_rate
from vad.pipeline import stage
from vad.regions import PreprocessParams
from vad.store.manifest import read_manifest
from vad.windows.dataset import Windows
from vad.windows.spec import ModelName, ResizeParams, WindowParams

MANIFEST, TENSORS = Path("data/manifest.csv"), Path("data/tensors/train")
BODY_HEIGHTS, ZONES = Path("data/body_height.json"), Path("data/zones.yaml")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
CALIBRATION, LICENCE = Path("models/calibration.json"), Path("LICENSE")
DEPLOYED = Path("models/deployed")
WINDOWS = 512  # on which the graph is compared with the autoencoders


def main(run: stage.Run) -> None:
    torch.set_num_threads(1)  # so that differences do not depend on the number of cores
    flow, _, flow_params = run.choice("flow", FlowParams)
    preprocess, mode_class, mode_params = run.choice("preprocess", PreprocessParams)
    mode = mode_class(mode_params, preprocess.foreground)
    mode.prepare(run.cache)
    name = run.params("model", ModelName).name
    window = run.params(f"model.{name}.window", WindowParams)
    branches = run.each("branches", BranchesParams)
    of_mode = {"mode": preprocess.mode, preprocess.mode: mode_params.model_dump(mode="json")}
    clips = read_manifest(MANIFEST)
    parameters = {
        "data": {"fps": picture_rate(clips), "bits": run.params("data", SourceParams).bits},
        "extract": run.params("extract", ExtractParams).model_dump(mode="json"),
        "flow": {"method": flow.method, flow.method: flow_params.model_dump(mode="json")},
        "preprocess": {"foreground": preprocess.foreground.model_dump(mode="json"), **of_mode},
        "resize": run.params("resize", ResizeParams).model_dump(mode="json"),
        "model": {"name": name, name: {"window": window.model_dump(mode="json")}},
        "branches": {key: params.model_dump(mode="json") for key, (_, params) in branches.items()},
        "measure": run.params("measure", MeasureParams).model_dump(mode="json"),
    }
    folds, windows = trained_folds(AUTOENCODER), Windows(TENSORS)
    reductions = branches["reconstruction"][1]
    card = export(
        DEPLOYED,
        ModelParts(
            parameters=parameters,
            mode=mode,
            mode_key=f"preprocess.{preprocess.mode}",
            window=window,
            networks=[WindowErrors.load(AUTOENCODER / str(fold), reductions) for fold in folds],
            folds=folds,
            statistics=STATISTICS,
            body_heights=BODY_HEIGHTS,
            calibration=CALIBRATION,
            zones=ZONES,
            licence=LICENCE,
            cameras=cameras(clips, TENSORS),
            windows=windows[np.unique(np.linspace(0, len(windows) - 1, WINDOWS).astype(int))],
        ),
    )
    if card.unusable is not None:
        run.log(f"WARNING: the model cannot be deployed: {card.unusable}")
    elif card.agreement is not None:
        run.log(f"the graph differs from the autoencoders by at most {card.agreement.level:.0e} of a score")


if __name__ == "__main__":
    inputs = [MANIFEST, TENSORS, BODY_HEIGHTS, ZONES, AUTOENCODER, STATISTICS, CALIBRATION, LICENCE]
    stage.run(main, __doc__, reads=inputs)
