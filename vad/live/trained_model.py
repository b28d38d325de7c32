"""A model that the pipeline trained, with the parameters of all processors."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vad import UserError
from vad.branches.base import Branch
from vad.branches.ensemble import open_members, trained_folds
from vad.branches.graph import Graph
from vad.branches.params import BranchesParams, MeasureParams
from vad.flow import FlowMethod, FlowParams
from vad.footage.extract_params import ExtractParams
from vad.footage.params import SourceParams
from vad.footage.pictures import PICTURE_FPS, PictureFormat
from vad.footage.video import VIDEOS
from vad.pipeline import params
from vad.regions import PreprocessParams, RegionMode
from vad.scoring.calibration import Calibration
from vad.store.body_heights import BodyHeights, read_body_heights
from vad.store.manifest import Clip, read_manifest
from vad.store.zones import Zones, read_zones
from vad.windows import stride
from vad.windows.spec import ModelName, ResizeParams, WindowParams

PARAMS, LOCK = Path("params.yaml"), Path("dvc.lock")
STAGES = ("extract", "flow", "preprocess", "resize", "train", "statistics", "measure", "calibrate")
# the sections that decide how frames are scored, and keys in them that change no score
SCORING = ("extract", "flow", "preprocess", "resize", "model", "branches", "measure", "calibrate")
WITHOUT_EFFECT = ("weights", "batch_size")  # the detector's hash counts, not its path
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
MANIFEST = Path("data/manifest.csv")
BODY_HEIGHTS, CALIBRATION = Path("data/body_height.json"), Path("models/calibration.json")
ZONES = Path("data/zones.yaml")
CACHE = Path(".cache")
STALE_ZONES = (
    "{} has changed since the threshold was fitted, so alarms may be more or less frequent than asked for; "
    "`dvc repro` fits it anew"
)


@dataclass(frozen=True)
class TrainedModel:
    """Everything that scoring needs. Several sessions may share a model.

    Attributes:
        pictures: frame rate and bits of folders of pictures.
        extract: rate, size and colour of the frames.
        flow: the method of optical flow.
        mode: the mode of preprocessing, with its weights.
        body_heights: how tall people are in the frames of each camera.
        resize: channels and size of tensors.
        window: the frames of a window.
        branches: the sources of error, opened; with folds, those that learn once per fold.
        cell: pixels of the frame per cell of a map, in each direction.
        calibration: turns errors into scores.
        zones: what of the pictures of each camera is judged.
        warnings: what is to be said before scores are shown, in lines.
    """

    pictures: PictureFormat
    extract: ExtractParams
    flow: FlowMethod
    mode: RegionMode
    body_heights: BodyHeights
    resize: ResizeParams
    window: WindowParams
    branches: Sequence[Branch]
    cell: int
    calibration: Calibration
    zones: Zones
    warnings: Sequence[str] = ()

    @classmethod
    def load(cls, folder: Path = Path(), fold: int | None = None) -> "TrainedModel":
        """Loads the model of a project in which the stages have run up to `calibrate`.

        Args:
            folder: root folder of the project, with params.yaml, dvc.lock, data/body_height.json,
                data/zones.yaml and models/. Paths in params.yaml are relative to the current folder, as for
                the stages.
            fold: number of the fold whose models are loaded, for footage that it left out; None for those of
                all folds, whose errors are averaged.

        Raises:
            UserError: if a file is missing or broken, a parameter is wrong or has been changed since the
                stages ran, the calibration is of other folds, or the mode of preprocessing cannot be used
                live (`RegionMode.refuse_live`).
        """
        raw = params.read(folder / PARAMS)
        lock = params.read(folder / LOCK) if (folder / LOCK).is_file() else {}
        _require_unchanged(raw, lock)
        raw["data"]["fps"] = picture_rate(read_manifest(folder / MANIFEST))
        calibration = Calibration.load(folder / CALIBRATION)
        return cls.assemble(
            raw,
            folds=_folds(folder, calibration, fold),
            autoencoder=folder / AUTOENCODER,
            statistics=folder / STATISTICS,
            body_heights=read_body_heights(folder / BODY_HEIGHTS),
            calibration=calibration,
            zones=read_zones(folder / ZONES),
            cache=folder / CACHE,
            warnings=[STALE_ZONES.format(folder / ZONES)] * _zones_changed(folder / ZONES, lock),
        )

    @classmethod
    def assemble(
        cls,
        raw: dict[str, Any],
        *,
        folds: Sequence[int],
        autoencoder: Path | Graph,
        statistics: Path,
        body_heights: BodyHeights,
        calibration: Calibration,
        zones: Zones,
        cache: Path,
        warnings: Sequence[str] = (),
    ) -> "TrainedModel":
        """Puts a model together from its parts.

        Args:
            raw: the parameters, as in params.yaml; `data.fps` must be a number.
            folds: numbers of the folds whose models are loaded.
            autoencoder: folder of the autoencoders, or their graph.
            statistics: folder of the statistics of branches.
            body_heights: how tall people are in the frames of each camera.
            calibration: turns errors into scores.
            zones: what of the pictures of each camera is judged.
            cache: folder for downloads.
            warnings: what is to be said before scores are shown, in lines.

        Raises:
            UserError: if a file is missing or broken, a parameter is wrong, or the mode of preprocessing
                cannot be used live (`RegionMode.refuse_live`).
        """
        _, flow, flow_params = params.load_choice("flow", FlowParams, raw)
        preprocess, mode_class, mode_params = params.load_choice("preprocess", PreprocessParams, raw)
        mode: RegionMode = mode_class(mode_params, preprocess.foreground)
        mode.refuse_live()
        mode.prepare(cache)
        name = params.load("model", ModelName, raw).name
        classes = params.load_each("branches", BranchesParams, raw).values()
        branches, _ = open_members(classes, folds, autoencoder, statistics)
        data = params.load("data", SourceParams, raw)
        assert data.fps is not None
        return cls(
            pictures=PictureFormat(data.fps, data.bits),
            extract=params.load("extract", ExtractParams, raw),
            flow=flow(flow_params),
            mode=mode,
            body_heights=body_heights,
            resize=params.load("resize", ResizeParams, raw),
            window=params.load(f"model.{name}.window", WindowParams, raw),
            branches=branches,
            cell=params.load("measure", MeasureParams, raw).cell,
            calibration=calibration,
            zones=zones,
            warnings=warnings,
        )

    def lookahead(self, fps: float) -> int:
        """Number of frames that scores look ahead.

        Args:
            fps: frames per second, above 0.
        """
        # windows and regions wait for the same frames
        windows = max(self.window.at(fps).lookahead, self.mode.lookahead(fps))
        return stride.lookahead(self.resize.stride) + windows + self.calibration.smoothing(fps).lookahead


def picture_rate(clips: Iterable[Clip]) -> float:
    """Frames per second of folders of pictures.

    Args:
        clips: of the manifest, whose folders of pictures all have the same rate.

    Returns:
        That rate; the default if all clips are videos.
    """
    rates = {clip.fps for clip in clips if Path(clip.source).suffix.lower() not in VIDEOS}
    return max(rates, default=PICTURE_FPS)


def _folds(folder: Path, calibration: Calibration, fold: int | None) -> list[int]:
    """The folds whose models are loaded."""
    folds = trained_folds(folder / AUTOENCODER)
    if len(folds) != calibration.folds:
        models = f"{len(folds)} model{'s' * (len(folds) != 1)}"
        raise UserError(
            f"{folder / CALIBRATION} was fitted to errors of data.folds = {calibration.folds}, but "
            f"{folder / AUTOENCODER} has {models}; run `dvc repro`"
        )
    if fold is None:
        return folds
    if fold not in folds:
        raise UserError(f"{folder / AUTOENCODER}: no models of fold {fold}; there are {folds}")
    return [fold]


def _zones_changed(path: Path, lock: dict[str, Any]) -> bool:
    """Whether the zones are others than those that the stage `measure` read."""
    deps = lock.get("stages", {}).get("measure", {}).get("deps", [])
    before = next((dep.get("md5") for dep in deps if dep["path"] == str(ZONES)), None)
    return before is not None and before != hashlib.md5(path.read_bytes()).hexdigest()


def _require_unchanged(raw: dict[str, Any], lock: dict[str, Any]) -> None:
    """Refuses parameters with which the model was not trained: scores would mean nothing.

    Args:
        raw: params.yaml.
        lock: dvc.lock, where DVC notes the parameters, inputs and outputs of each stage.

    Raises:
        UserError: naming the first parameter that differs, or the first stage that has not run since a stage
            before it has.
    """
    stages = {name: stage for name, stage in lock.get("stages", {}).items() if name in STAGES}
    outputs = {out["path"]: out.get("md5") for stage in stages.values() for out in stage.get("outs", [])}
    for name, stage in stages.items():
        for dep in stage.get("deps", []):
            if outputs.get(dep["path"], dep.get("md5")) != dep.get("md5"):
                raise UserError(f"{dep['path']} is newer than what the stage {name} read; run `dvc repro`")
        for key, before in stage.get("params", {}).get(str(PARAMS), {}).items():
            now: Any = raw
            for part in key.split("."):
                now = now.get(part) if isinstance(now, dict) else None
            if key.partition(".")[0] in SCORING and (difference := _difference(key, before, now)):
                changed, then, value = difference
                raise UserError(
                    f"{PARAMS}: {changed} is {value}, but the stage {name} ran with {then}; change it back, "
                    "or run `dvc repro`"
                )


def _difference(key: str, before: Any, now: Any) -> tuple[str, str, str] | None:
    """The first key from `key` on whose value differs, with both values as text; None if all are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [name for name in {**before, **now} if name not in WITHOUT_EFFECT]
        parts = (_difference(f"{key}.{name}", before.get(name), now.get(name)) for name in names)
        return next((part for part in parts if part is not None), None)
    if before == now:
        return None
    then, value = ("its default" if v is None else repr(v) for v in (before, now))
    return key, then, value
