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
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vad.overlay.overlay import Overlay, resized
from vad.overlay.privacy import Privacy, processor
from vad.overlay.scored_frame import ScoredFrame
from vad.report.clip_video import ClipVideo
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
    overlay, video = Overlay(clip.info, strip=False), None
    with ExitStack() as files:
        if wanted.video:
            path = Path(f"{stem}.mp4")
            video = files.enter_context(ClipVideo(path, overlay.size, clip.info.fps))
        for frame in _hidden(clip, scored, wanted):
            t = frame.result.index
            if video is not None:
                video.add(overlay.draw(frame), frame.result.seconds)
            if t in wanted.stills or t in thresholds:
                shown = _compared(frame, thresholds.get(t, clip.info.threshold))
                _write(Path(f"{stem}.{t}.jpg"), Overlay(shown.info).still(shown))
            if t in wanted.plain:
                assert frame.picture is not None
                _write(Path(f"{stem}.{t}.plain.jpg"), resized(frame.picture, *overlay.picture_size))


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


def _hidden(clip: StoredClip, scores: ClipScores | dict[int, float], wanted: Wanted) -> Iterator[ScoredFrame]:
    """The scored frames, at least those that have pictures, with people hidden as asked for."""
    if wanted.video or wanted.privacy != "none":
        yield from results(processor(wanted.privacy), clip.each(scores))
    else:
        for t in sorted({*wanted.stills, *wanted.plain, *(alarm.frame for alarm in wanted.alarms)}):
            yield from clip.each(scores, t, t + 1)


def _write(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 3] RGB, as JPEG."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
