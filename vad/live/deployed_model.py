"""The folder of a deployed model: names of its files, its card, and how it is loaded. Needs no torch.

The stage `export` writes it (`vad.export`).

| file | content |
|---|---|
| model.json | the card (`Card`), with size and sha256 of every other file |
| README.md | the same for people |
| parameters.yaml | the parameters of all processors, defaults included |
| errors.onnx | autoencoders and reduction of residuals of all folds (`vad.branches.graph`) |
| branches/<fold>/<branch>/ | statistics of the other branches, as the stage `statistics` writes them |
| body_height.json, calibration.json | as the stages `preprocess` and `calibrate` write them |
| zones.yaml | zones of the cameras |
| LICENSE, and files of the mode of preprocessing, such as detector.onnx | |
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vad import UserError
from vad.branches.graph import Graph
from vad.live.trained_model import STALE_ZONES, TrainedModel
from vad.pipeline import params
from vad.scoring.calibration import Calibration
from vad.store.body_heights import read_body_heights
from vad.store.downloads import hash_file
from vad.store.zones import Zones, read_zones

FORMAT = 2  # of the folder; raised when older programs could not read a newer folder, or the reverse
CARD, README, LICENSE = "model.json", "README.md", "LICENSE"
PARAMETERS, GRAPH, STATISTICS = "parameters.yaml", "errors.onnx", "branches"
BODY_HEIGHTS, CALIBRATION, ZONES = "body_height.json", "calibration.json", "zones.yaml"
EDITABLE = (README, ZONES)  # files that people may change


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Entry):
    """A file of the folder.

    Attributes:
        bytes: its size.
        sha256: its content hash, 64 hexadecimal digits.
    """

    bytes: int
    sha256: str


class CameraEntry(_Entry):
    """The normal footage of a camera that the model learned from.

    Attributes:
        camera: name of the camera.
        clips: number of clips.
        hours: their duration.
        sizes: [width, height] of their frames in pixels, after extraction.
        rates: their frames per second, after extraction.
    """

    camera: str
    clips: int
    hours: float
    sizes: list[tuple[int, int]]
    rates: list[float]


class Agreement(_Entry):
    """How far the graph is from the networks that were trained, as measured at export.

    Attributes:
        windows: number of windows of the training footage on which both were run.
        error: largest difference of an error, by branch.
        level: largest difference of a calibrated score of a branch.
    """

    windows: int
    error: dict[str, float]
    level: float


class Card(_Entry):
    """model.json.

    Attributes:
        format: version of the format, FORMAT.
        unusable: why the model cannot score footage frame by frame; None if it can.
        files: the other files by name, with forward slashes.
        weights: key of parameters.yaml -> the file that it names.
        cameras: the footage that the model learned from.
        folds: numbers of the folds whose models are averaged.
        branches: the branches whose scores are fused.
        window: frames of a window, the seconds between them (0: consecutive frames), and the frame that the
            window belongs to.
        threshold: of frame scores.
        lookahead: frames by which scores come later than their frame, at most, in the training footage.
        delay: the same in seconds.
        classes: names of the detector's classes; empty without a detector.
        zones: hash of the zones with which the threshold was fitted.
        agreement: of the graph with the networks; None if the model is unusable.
    """

    format: int
    unusable: str | None
    files: dict[str, FileEntry]
    weights: dict[str, str]
    cameras: list[CameraEntry]
    folds: list[int] = Field(min_length=1)
    branches: list[str]
    window: dict[str, int | float | str]
    threshold: float
    lookahead: int
    delay: float
    classes: list[str]
    zones: str
    agreement: Agreement | None

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Reads the card of a deployed model.

        Args:
            folder: of the model.

        Raises:
            UserError: if the folder is missing, is no deployed model, or has another format.
        """
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; `dvc repro export` makes a deployed model")
        try:
            raw = json.loads((folder / CARD).read_text("utf-8"))
            version = raw["format"]
        except FileNotFoundError:
            raise UserError(
                f"{folder}: not a deployed model (no {CARD}); name a folder made by `dvc repro export`"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as e:
            raise UserError(f"{folder / CARD}: cannot be read ({e!r}); copy the folder again") from None
        if version != FORMAT:
            newer = isinstance(version, int) and version > FORMAT
            advice = "update this program" if newer else "export it again with `dvc repro export`"
            raise UserError(
                f"{folder}: made by {'a newer' if newer else 'an older'} version (format {version}, this one "
                f"reads {FORMAT}); {advice}"
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as e:
            where = ".".join(map(str, e.errors()[0]["loc"]))
            raise UserError(f"{folder / CARD}: damaged at {where}; copy the folder again") from None


def load_deployed(folder: Path) -> TrainedModel:
    """Loads a deployed model.

    Its zones may be edited; the model then warns that the threshold was fitted with others.

    Args:
        folder: of the model.

    Raises:
        UserError: if the folder is missing, is no deployed model, has another format, is damaged, or holds a
            model that cannot score footage frame by frame.
    """
    card = Card.read(folder)
    if card.unusable is not None:
        raise UserError(f"{folder}: this model cannot be used: {card.unusable}")
    check_files(folder, card)
    zones = read_zones(folder / ZONES) if (folder / ZONES).is_file() else Zones()
    raw = params.read(folder / PARAMETERS)
    for key, name in card.weights.items():
        if name not in card.files or not _set(raw, key, str((folder / name).absolute())):
            raise UserError(f"{folder / CARD}: damaged at weights.{key}; copy the folder again")
    try:
        model = TrainedModel.assemble(
            raw,
            folds=card.folds,
            autoencoder=Graph(folder / GRAPH),
            statistics=folder / STATISTICS,
            body_heights=read_body_heights(folder / BODY_HEIGHTS),
            calibration=Calibration.load(folder / CALIBRATION),
            zones=zones,
            cache=folder,
            warnings=_zone_warnings(zones, card, folder / ZONES),
        )
    except UserError as e:
        raise UserError(f"{folder}: cannot be used by this version ({e}); export it again") from None
    if list(model.mode.classes) != card.classes:
        raise UserError(
            f"{folder}: the detector has {len(model.mode.classes)} classes, but the model learned from "
            f"{len(card.classes)}; copy the folder again, or run `dvc repro` with the new detector"
        )
    return model


def _zone_warnings(zones: Zones, card: Card, path: Path) -> list[str]:
    """What is to be said about zones that are others than those of training."""
    if zones.hash == card.zones:
        return []
    try:
        zones.require([entry.camera for entry in card.cameras], path)
    except UserError as e:
        return [STALE_ZONES.format(path), str(e)]
    return [STALE_ZONES.format(path)]


def check_files(folder: Path, card: Card) -> None:
    """Refuses a folder whose files are not those that were exported, but for those that people may change.

    Args:
        folder: of the model.
        card: its card.

    Raises:
        UserError: naming the file.
    """
    for name, entry in card.files.items():
        if name in EDITABLE:
            continue
        path = folder / name
        if not path.is_file():
            raise UserError(f"{folder}: damaged, as {name} is missing; copy the folder again")
        if (size := path.stat().st_size) != entry.bytes:
            raise UserError(
                f"{folder}: damaged, as {name} has {size} bytes, not {entry.bytes}; copy the folder again"
            )
        if hash_file(path) != entry.sha256:
            raise UserError(f"{folder}: damaged, as {name} is not what was exported; copy the folder again")


def _set(raw: Any, key: str, value: str) -> bool:
    """Sets a dotted key; returns whether there is one."""
    *sections, last = key.split(".")
    for section in sections:
        raw = raw.get(section) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or last not in raw:
        return False
    raw[last] = value
    return True
