"""Pictures and videos of clips, compared with the frames that they show."""

import errno
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.detect.test_privacy import SIZE, WIDE, likeness
from tests.evaluation.reports import SEVERAL
from tests.report.made_footage import CLOCK, FPS, FRAMES, sources, stems, write_clip
from vad.overlay.privacy import SILHOUETTE, Privacy
from vad.report.clip_video import ClipVideo
from vad.report.media import Alarm, Wanted, draw_clip
from vad.report.scripts import call, safe_name
from vad.scoring.scores import read_scores
from vad.store.zones import ALL_JUDGED, CameraZones, Zone

CLIP = "test/walk"
SCALE = 3  # pictures of 160 columns are magnified
LOSS = 12  # levels by which compression changes a pixel at most, apart from edges


def drawn(folder: Path, clip: str = CLIP, privacy: Privacy = "none", **wanted: Any) -> Path:
    """Draws a clip; the stem of its files."""
    at = sources(folder)
    zones = wanted.pop("zones", ALL_JUDGED)
    files = dict(stems(at, clip))
    if clip.startswith("train/"):
        files["scores"] = None
    out = folder / "out" / privacy
    out.mkdir(parents=True, exist_ok=True)
    of_clip = Wanted(clip, "hall", zones, privacy, **wanted)
    draw_clip(out / "data", **files, wanted=of_clip, calibration=SEVERAL, threads=1)
    return out / "data"


def decoded(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """Frames and times of a video."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [float(frame.time) for frame in frames]


def picture(path: Path) -> np.ndarray:
    """A picture, uint8 [H, W, 3] RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def magnified(frame: np.ndarray) -> np.ndarray:
    """A frame as pictures show it, without anything drawn in."""
    colors = frame if frame.ndim == 3 else np.stack([frame] * 3, axis=2)
    return cv2.resize(colors, (SIZE[1] * SCALE, SIZE[0] * SCALE), interpolation=cv2.INTER_LINEAR)


def away(box: tuple[int, int, int, int]) -> np.ndarray:
    """Where nothing of a box, its cells and the frame of an alarm is drawn: bool [H, W] of the picture."""
    x0, _, x1, _ = box
    outside = np.ones(SIZE, bool)
    outside[:, max(0, x0 - 12) : x1 + 12] = False
    outside[:16], outside[-6:], outside[:, :6], outside[:, -6:] = False, False, False, False
    return outside.repeat(SCALE, 0).repeat(SCALE, 1)


def assert_shows(shown: np.ndarray, frame: np.ndarray, where: np.ndarray) -> None:
    """The picture is the frame, apart from compression and what is drawn elsewhere."""
    assert where.mean() > 0.3
    part = shown[: SIZE[0] * SCALE, : SIZE[1] * SCALE][where].astype(int)
    difference = np.abs(part - magnified(frame)[where].astype(int))
    assert difference.mean() < LOSS
    others = np.abs(part - magnified(np.roll(frame, 40, axis=1))[where].astype(int))
    assert difference.mean() < others.mean() / 2  # the measure tells one picture from another


@pytest.mark.parametrize("gray", [False, True])
def test_the_video_has_every_frame_at_its_time(tmp_path: Path, gray: bool) -> None:
    frames, boxes = write_clip(sources(tmp_path), gray=gray)
    shown, times = decoded(Path(f"{drawn(tmp_path, video=True)}.mp4"))
    assert len(shown) == FRAMES
    np.testing.assert_allclose(times, np.arange(FRAMES) / FPS, atol=1e-4)
    for t in range(FRAMES):
        assert_shows(shown[t], frames[t], away(boxes[t]))


def test_the_video_lasts_as_long_as_the_clip(tmp_path: Path) -> None:
    write_clip(sources(tmp_path))
    with av.open(f"{drawn(tmp_path, video=True)}.mp4") as container:
        assert container.duration == pytest.approx(1e6 * FRAMES / FPS, abs=2)


def test_times_are_those_of_the_frames_after_a_gap_and_where_frames_repeat(tmp_path: Path) -> None:
    seconds = np.arange(FRAMES) / FPS + 0.5
    seconds[20:] += 0.7  # a gap
    seconds[31] = seconds[30]  # repeated by resampling
    write_clip(sources(tmp_path), seconds=seconds.tolist())
    stem = drawn(tmp_path, video=True)
    _, times = decoded(Path(f"{stem}.mp4"))
    np.testing.assert_allclose(times, seconds - 0.5, atol=1e-4)
    assert (np.diff(times) > 0).all()
    assert data_of(stem)["times"] == seconds.round(4).tolist()


def data_of(stem: Path) -> dict[str, Any]:
    """The value that the script of a clip hands to the page."""
    text = Path(f"{stem}.js").read_text("utf-8")
    assert text.startswith("report.clip(")
    assert text.endswith(");\n")
    value: dict[str, Any] = json.loads(text[len("report.clip(") : -len(");\n")])
    return value


def test_the_data_are_the_scores(tmp_path: Path) -> None:
    at = sources(tmp_path)
    write_clip(at)
    data, scores = data_of(drawn(tmp_path)), read_scores(at.scores / CLIP)
    assert data["id"] == CLIP
    assert data["numbers"] == list(range(3, FRAMES + 3))
    np.testing.assert_allclose(data["scores"], scores.scores, rtol=1e-3, atol=1e-6)
    assert list(data["shares"]) == SEVERAL.branches
    for event in scores.events:
        for branch, share in event.shares.items():
            assert data["shares"][branch][event.peak] == pytest.approx(100 * share, abs=0.5)
    totals = np.sum(list(data["shares"].values()), axis=0)
    positive = np.max([scores.branches[name] for name in SEVERAL.branches], axis=0) > 0
    assert (np.abs(totals[positive] - 100) <= 2).all()
    assert (totals[~positive] == 0).all()
    assert not list((tmp_path / "out/none").glob("*.jpg"))


@pytest.mark.parametrize("video", [False, True])
def test_stills_show_their_frames(tmp_path: Path, video: bool) -> None:
    frames, boxes = write_clip(sources(tmp_path))
    stem = drawn(tmp_path, video=video, stills=(4, 15), plain=(30,))
    files = {path.name for path in stem.parent.iterdir() if path.suffix == ".jpg"}
    assert files == {"data.4.jpg", "data.15.jpg", "data.30.plain.jpg"}
    for t in (4, 15):
        assert_shows(picture(Path(f"{stem}.{t}.jpg")), frames[t], away(boxes[t]))
    plain = picture(Path(f"{stem}.30.plain.jpg"))
    assert plain.shape == (SIZE[0] * SCALE, SIZE[1] * SCALE, 3)
    assert_shows(plain, frames[30], np.ones(plain.shape[:2], bool))
    # the alarmed frame has a border in the colour of alarms
    border = [picture(Path(f"{stem}.{t}.jpg"))[:2, 60:-60].reshape(-1, 3).std(0).max() for t in (4, 15)]
    assert border[1] < 10 < border[0]


def test_alarms_of_normal_footage_show_the_score_without_it(tmp_path: Path) -> None:
    """The text says 3.0 and 1.5, which the clip's own calibration would not."""
    write_clip(sources(tmp_path), "train/walk")
    stem = drawn(tmp_path, "train/walk", alarms=(Alarm(5, 3.0, 1.5), Alarm(25, 1.0, 1.5)))
    assert {path.name for path in stem.parent.iterdir()} == {"data.5.jpg", "data.25.jpg"}
    orange = [
        (np.abs(picture(Path(f"{stem}.{t}.jpg"))[-3].astype(int) - (213, 94, 0)) < 30).all() for t in (5, 25)
    ]
    assert orange == [True, False]  # the bar below an alarmed frame


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path) -> None:
    write_clip(sources(tmp_path))
    stem = drawn(tmp_path, video=True, stills=(15,))
    before = {path.name: path.read_bytes() for path in stem.parent.iterdir()}
    drawn(tmp_path, video=True, stills=(15,))
    assert {path.name: path.read_bytes() for path in stem.parent.iterdir()} == before
    assert set(before) == {"data.15.jpg", "data.js", "data.mp4"}


def pictures_of(stem: Path) -> list[tuple[int, np.ndarray]]:
    """Every picture of a clip in the size of its frames, with the index of its frame."""
    shown, _ = decoded(Path(f"{stem}.mp4"))
    out = list(enumerate(shown))
    out += [(int(path.name.split(".")[1]), picture(path)) for path in stem.parent.glob("*.jpg")]
    crop = [(t, shown[: SIZE[0] * SCALE, : SIZE[1] * SCALE]) for t, shown in out]
    return [(t, cv2.resize(shown, SIZE[::-1], interpolation=cv2.INTER_AREA)) for t, shown in crop]


@pytest.mark.parametrize("not_judged", [False, True])
def test_blur_holds_for_every_picture(tmp_path: Path, not_judged: bool) -> None:
    """Also of those whom zones leave out."""
    frames, boxes = write_clip(sources(tmp_path), not_judged=not_judged)
    zones = CameraZones((Zone("ignore", ((0.0, 0.0), (0.3, 0.0), (0.3, 0.2), (0.0, 0.2))),))
    wanted = {"video": True, "stills": (0, 15, 39), "plain": (20,)}
    pictures = pictures_of(drawn(tmp_path, privacy="blur", zones=zones, **wanted))
    assert len(pictures) == FRAMES + 4
    for t, shown in pictures:
        # without the lines of the box that is drawn
        x0, y0, x1, y1 = boxes[t]
        inside = (x0 + 3, y0 + 8, x1 - 3, y1 - 3)
        assert likeness(shown, frames[t], inside) < 0.3
        if not_judged:
            assert likeness(shown, frames[t], CLOCK) < 0.3
    open_pictures = dict(pictures_of(drawn(tmp_path, **wanted)))
    x0, y0, x1, y1 = boxes[30]
    assert likeness(open_pictures[30], frames[30], (x0 + 3, y0 + 8, x1 - 3, y1 - 3)) > 0.6


@pytest.mark.parametrize("silhouettes", [False, True])
def test_silhouettes_hold_for_every_picture(tmp_path: Path, silhouettes: bool) -> None:
    frames, boxes = write_clip(sources(tmp_path), silhouettes=silhouettes)
    wanted = {"video": True, "stills": (0, 15, 39), "plain": (39,)}
    for t, shown in pictures_of(drawn(tmp_path, privacy="silhouette", **wanted)):
        x0, y0, x1, y1 = boxes[t]
        inside = (x0 + 3, y0 + 8, x1 - 3, y1 - 3)
        assert likeness(shown, frames[t], inside) < 0.3
    plain = picture(tmp_path / "out/silhouette/data.39.plain.jpg")
    x0, y0, x1, y1 = (SCALE * side for side in boxes[39])
    middle = plain[y0 + 20 : y1 - 20, x0 + 20 : x0 + SCALE * WIDE - 20].reshape(-1, 3)
    assert np.abs(middle.mean(0) - SILHOUETTE).max() < 8


def test_a_full_disk_is_an_error_of_the_file() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(OSError, match="/dev/full") as caught:  # noqa: PT012, SIM117
        with ClipVideo(Path("/dev/full"), (64, 64), FPS) as video:
            for i in range(50):
                video.add(rng.integers(0, 255, (64, 64, 3), np.uint8), i / FPS)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!--", "a\u2028b\u2029c", "\"'\\", "&lt;"]
)
def test_scripts_hold_any_text(text: str) -> None:
    line = call("report.clip", {"id": text})
    assert not set("<>&\u2028\u2029") & set(line)
    assert line.count("\n") == 1
    assert json.loads(line[len("report.clip(") : -3]) == {"id": text}


def test_files_have_names_that_any_system_can_hold() -> None:
    names = [
        "a",
        "A-b_1",
        "<img src=x onerror=alert(1)>",
        "..",
        "a" * 200,
        "a" * 201,
        "тест",
        "тест2",
        "a b",
        "a_b",
    ]
    safe = [safe_name(f"test/{name}") for name in names]
    assert len(set(safe)) == len(names)
    assert safe[:2] == ["test/a", "test/A-b_1"]
    for name in safe:
        split, base = name.split("/")
        assert split == "test"
        assert len(base) <= 80
        assert base.isascii()
        assert base.replace("-", "").replace("_", "").isalnum()
