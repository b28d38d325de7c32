"""Fits a session to a source: its camera, its frame size and its rate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vad import UserError
from vad.detect.records import EventRecord
from vad.detect.source_outputs import SourceOutputs
from vad.detect.source_scorer import SourceScorer
from vad.footage.decode import Convert, Decoded
from vad.inputs.source import Source
from vad.live import Session, TrainedModel
from vad.overlay.scored_frame import SessionInfo
from vad.store.body_heights import OTHER_CAMERAS

TOLERANCE = 0.02  # share by which frames may be taller or shorter than in training and still count as equal


def choose_camera(model: TrainedModel, source: Source, name: str | None) -> str:
    """The name of the source's camera in training.

    Args:
        model: the deployed model.
        source: which may lie in a folder with the name of its camera, as training footage does.
        name: as the user gave it; None for none.

    Returns:
        The name; OTHER_CAMERAS if there is none.

    Raises:
        UserError: if the model knows no camera of the name given.
    """
    known = known_cameras(model)
    if name is not None:
        if name not in known:
            raise UserError(f"--camera {name}: the model knows {', '.join(known) or 'no camera by name'}")
        return name
    folder = source.address.absolute().parent.name if isinstance(source.address, Path) else None
    if folder in known:
        return folder
    return known[0] if len(known) == 1 else OTHER_CAMERAS


def known_cameras(model: TrainedModel) -> list[str]:
    """The names of the cameras that the model learned from; empty if they had none."""
    return sorted(camera for camera in model.body_heights.cameras if camera != OTHER_CAMERAS)


def fit_size(model: TrainedModel, camera: str, width: int, height: int) -> tuple[int | None, str | None]:
    """The size to which frames are reduced, so that they are as tall as in training.

    Args:
        model: the deployed model.
        camera: name of the camera.
        width: of the frames of the source, in pixels.
        height: of the frames of the source, in pixels.

    Returns:
        (the length in pixels to which the longer side is reduced, or None; a note for the user, or None).
    """
    heights = model.body_heights.cameras
    trained = heights.get(camera) or heights.get(OTHER_CAMERAS)
    longer = max(width, height)
    scale = min(1.0, (model.extract.max_side or longer) / longer)
    if trained is None or abs(height * scale / trained.rows - 1) <= TOLERANCE:
        return None, None
    if height * scale < trained.rows:
        return None, (
            f"frames of {width}x{height} pixels are smaller than in training (height {trained.rows}) and are "
            "not enlarged; scores may be off"
        )
    side = round(longer * trained.rows / height)
    scaled = f"{round(width * side / longer)}x{round(height * side / longer)}"
    return side, f"frames of {width}x{height} pixels are reduced to {scaled}, as tall as in training"


def limit_rate(model: TrainedModel, fps: float, most: float | None) -> TrainedModel:
    """The model with a lower frame rate.

    Args:
        model: the deployed model.
        fps: frames per second of the source.
        most: frames per second that are scored at most; None for all.

    Returns:
        The model itself if the rate is low enough.
    """
    if most is None or most >= (model.extract.fps or fps):
        return model
    return replace(model, extract=model.extract.model_copy(update={"fps": most}))


def open_scorer(
    model: TrainedModel,
    source: Source,
    camera: str,
    fps: float,
    first: Decoded,
    outputs: SourceOutputs,
    report: Callable[[EventRecord], None],
    *,
    live: bool,
    most: float | None = None,
    events: int = 0,
) -> tuple[SourceScorer, str | None]:
    """Opens a session for a source, and a scorer that feeds it with frames.

    Args:
        model: the deployed model.
        source: where the frames come from.
        camera: name of the camera in training.
        fps: frames per second of the source.
        first: its first frame, which the scorer has still to be given.
        outputs: what is written about it.
        report: takes the records of events.
        live: whether it is a camera.
        most: frames per second that are scored at most; None for all.
        events: number of events that the source had before, in an earlier session.

    Returns:
        (the scorer, a note for the user or None).

    Raises:
        UserError: if the model does not fit the source.
    """
    model = limit_rate(model, fps, most)
    height, width = _shape(Convert("rgb", None), first)
    max_side, note = fit_size(model, camera, width, height)
    session = Session(model, fps=fps, camera=camera, live=live, max_side=max_side)
    info = SessionInfo.of(
        model.calibration,
        source=source.text,
        name=source.name,
        camera=camera,
        fps=session.fps,
        size=_shape(Convert("rgb", session.max_side), first),
        picture_size=(height, width),
        cell=model.cell,
        zones=model.zones.of(camera),
    )
    return SourceScorer(info, session, outputs, report, events), note


def _shape(convert: Convert, frame: Decoded) -> tuple[int, int]:
    height, width = convert.process(frame)[0].pixels.shape[:2]
    return height, width
