"""Pictures, video and data of a clip for the page: the work function of the stage `report`.

| file | content |
|---|---|
| <clip>.js | the scores of every frame (`vad.report.contents.ClipData`) |
| <clip>.mp4 | every frame with boxes and cells |
| <clip>.<frame>.jpg | a frame with boxes and cells; its index counts extracted frames |
| <clip>.<frame>.plain.jpg | a frame with nothing drawn in |

All pictures go through the privacy, which needs the frames before and after; so it sees all frames.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import av
import cv2
import numpy as np

from vad.overlay.overlay import Overlay, resized
from vad.overlay.privacy import Privacy, processor
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.overlay.video import TICK, Encoder
from vad.report.contents import ClipData
from vad.report.scripts import call
from vad.report.stored_clip import Stems, StoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.scores import ClipScores, read_scores
from vad.store.digests import digest
from vad.store.zones import CameraZones
from vad.stream import results

QUALITY = 85  # of JPEG


class Alarm(NamedTuple):
    """A frame of normal footage whose score was computed without that footage.

    Attributes:
        frame: its index.
        score: of the frame.
        threshold: with which it was compared.
    """

    frame: int
    score: float
    threshold: float


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn of a clip.

    Attributes:
        clip: id of the clip.
        camera: the camera that filmed it.
        zones: of the camera.
        privacy: what becomes of people.
        video: whether there is a video.
        stills: indices of the frames with a picture.
        plain: indices of the frames with a picture with nothing drawn in.
        alarms: further frames with a picture; the clip is then one of normal footage without scores.
    """

    clip: str
    camera: str
    zones: CameraZones
    privacy: Privacy
    video: bool = False
    stills: tuple[int, ...] = ()
    plain: tuple[int, ...] = ()
    alarms: tuple[Alarm, ...] = ()

    @property
    def hash(self) -> str:
        """Digest of all that has an effect, for the key of the clip."""
        return digest([asdict(replace(self, zones=CameraZones())), self.zones.hash])


def draw_clip(
    stem: Path,
    errors: Path,
    frames: Path,
    regions: Path,
    scores: Path | None,
    wanted: Wanted,
    calibration: Calibration,
    *,
    threads: int = 1,
) -> None:
    """Work function: writes the files of a clip.

    Args:
        stem: path of the files to write, without suffix.
        errors, frames, regions: stems of the clip's files.
        scores: stem of its scores; None for normal footage, which then has no data and no video.
        wanted: what is to be drawn.
        calibration: turns errors into scores.
        threads: maximum number of threads.

    Raises:
        UserError: if a file is missing or broken.
        OSError: if a file cannot be written, for example because the disk is full.
    """
    cv2.setNumThreads(threads)
    clip = StoredClip(Stems(frames, regions, errors), wanted.clip, wanted.camera, calibration, wanted.zones)
    scored: ClipScores | dict[int, float] = {alarm.frame: alarm.score for alarm in wanted.alarms}
    if scores is not None:
        scored = read_scores(scores)
        data = clip_data(wanted.clip, scored, calibration)
        Path(f"{stem}.js").write_text(call("report.clip", asdict(data)), "utf-8")
    thresholds = {alarm.frame: alarm.threshold for alarm in wanted.alarms}
    height, width = Overlay(clip.info).picture_size
    with ExitStack() as files:
        video = files.enter_context(_Video(Path(f"{stem}.mp4"), clip.info)) if wanted.video else None
        for frame in _hidden(clip, scored, wanted):
            t = frame.result.index
            if video is not None:
                video.add(frame)
            if t in wanted.stills or t in thresholds:
                shown = _compared(frame, thresholds.get(t, clip.info.threshold))
                _write(Path(f"{stem}.{t}.jpg"), Overlay(shown.info).still(shown))
            if t in wanted.plain:
                assert frame.picture is not None
                _write(Path(f"{stem}.{t}.plain.jpg"), resized(frame.picture, height, width))


def _compared(frame: ScoredFrame, threshold: float) -> ScoredFrame:
    """The frame as compared with a threshold."""
    alarmed = frame.result.score > threshold
    info = replace(frame.info, threshold=threshold)
    return frame._replace(info=info, result=replace(frame.result, alarmed=alarmed))


def clip_data(clip: str, scores: ClipScores, calibration: Calibration) -> ClipData:
    """The scores of a clip's frames, as the page loads them.

    Args:
        clip: id of the clip.
        scores: of its frames.
        calibration: by which it was scored.
    """
    alone = {name: np.maximum(scores.branches[name], 0) for name in calibration.branches}
    total = np.maximum(sum(alone.values()), 1e-12)
    return ClipData(
        id=clip,
        times=[round(value, 4) for value in scores.seconds.tolist()],
        numbers=scores.source_frames.tolist(),
        scores=[float(f"{value:.4g}") for value in scores.scores.tolist()],
        shares={name: np.rint(100 * v / total).astype(int).tolist() for name, v in alone.items()},
    )


def video_size(info: SessionInfo) -> tuple[int, int]:
    """(height, width) of the video of a clip.

    Args:
        info: of the clip.
    """
    return Overlay(info, strip=False).size


def _hidden(clip: StoredClip, scores: ClipScores | dict[int, float], wanted: Wanted) -> Iterator[ScoredFrame]:
    """The scored frames, at least those that have pictures, with people hidden as asked for."""
    if wanted.video or wanted.privacy != "none":
        yield from results(processor(wanted.privacy), clip.each(scores))
    else:
        for t in sorted({*wanted.stills, *wanted.plain, *(alarm.frame for alarm in wanted.alarms)}):
            yield from clip.each(scores, t, t + 1)


class _Video:
    """The video of a clip, which has a frame for each frame of the clip; a context manager.

    Args:
        path: of the file.
        info: of the clip.
    """

    def __init__(self, path: Path, info: SessionInfo):
        self._overlay = Overlay(info, strip=False)
        with _errors_of(path):
            self._encoder = Encoder(path, self._overlay.size, info.fps)
        self._path = path
        self._zero: float | None = None  # seconds of the first frame
        self._stamp = -1

    def add(self, frame: ScoredFrame) -> None:
        seconds = frame.result.seconds
        self._zero = seconds if self._zero is None else self._zero
        # times of frames that resampling has repeated are equal, but those of a video must rise
        self._stamp = max(self._stamp + 1, round((seconds - self._zero) / TICK))
        picture = self._overlay.draw(frame)
        with _errors_of(self._path):
            self._encoder.encode(picture, self._stamp)

    def __enter__(self) -> "_Video":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _errors_of(self._path):
                    self._encoder.flush()
                    self._encoder.close()
        finally:
            self._encoder.abandon()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raises errors of the video library as what they are for the file."""
    try:
        yield
    except av.FFmpegError as e:
        raise OSError(e.errno, e.strerror, str(path)) from None


def _write(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 3] RGB, as JPEG."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
