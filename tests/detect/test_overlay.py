"""The overlay, the video and the snapshots."""

import errno
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detect.scored_frames import info, play, regions, result
from vad import UserError
from vad.detect import output_file
from vad.detect.snapshots import SnapshotOutput
from vad.detect.video import VideoOutput
from vad.overlay.overlay import RAISED, Overlay
from vad.overlay.score_strip import ALARM, ScoreStrip, scale
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.overlay.wording import clip_time
from vad.scoring.contributions import scaled
from vad.scoring.params import EventParams
from vad.store.zones import CameraZones, Zone


def gray(height: int = 48, width: int = 64, value: int = 128) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def scored_frame(of: SessionInfo, index: int = 0, score: float = 0.0, **known: Any) -> ScoredFrame:
    return ScoredFrame(of, result(index, score, of=of, **known), gray(*of.picture_size))


def decoded(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [float(frame.time) for frame in frames]


def colored(picture: np.ndarray, color: Sequence[int], tolerance: int = 0) -> np.ndarray:
    """Whether each pixel has the colour."""
    return (np.abs(picture.astype(int) - np.array(color)) <= tolerance).all(axis=-1)


@pytest.mark.parametrize(
    ("height", "width", "factor"), [(48, 64, 8), (132, 176, 3), (432, 768, 1), (99, 501, 1)]
)
def test_small_pictures_are_magnified_by_a_whole_factor(height: int, width: int, factor: int) -> None:
    of = info(picture_size=(height, width))
    overlay = Overlay(of)
    drawn = overlay.draw(scored_frame(of))
    assert drawn.shape == (*overlay.size, 3)
    assert drawn.shape[1] == width * factor + width * factor % 2
    assert drawn.shape[0] > height * factor
    assert drawn.shape[0] % 2 == drawn.shape[1] % 2 == 0
    # a quiet frame without regions is shown as it is
    assert (drawn[: height * factor, : width * factor] == 128).all()


def test_alarming_regions_are_thick_and_quiet_ones_thin() -> None:
    of = info(picture_size=(432, 768), size=(216, 384))
    found = regions([[20, 20, 60, 100], [200, 20, 240, 100]])
    quiet = Overlay(of).draw(scored_frame(of, score=2, found=found, region_scores=[0.2, 3]))[:432]
    # halfway down the left sides, at twice the coordinates of the frame
    left, right = quiet[120, 30:60], quiet[120, 390:420]
    assert (~colored(left, (128, 128, 128))).sum() == 1
    assert colored(right, ALARM).sum() >= 3
    assert colored(quiet, ALARM)[0].all()  # the frame of an alarmed picture


def test_what_zones_leave_out_is_darkened() -> None:
    left = Zone("ignore", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    of = info(picture_size=(480, 640), zones=CameraZones((left,)))
    drawn = Overlay(of).still(scored_frame(of))[:480]
    assert (drawn[:, :320] == 64).all()
    assert (drawn[:, 320:640] == 128).all()


def test_cells_that_raised_the_score_above_the_threshold_are_tinted() -> None:
    of = info(picture_size=(96, 480), size=(48, 240), threshold=2.0)
    cells = np.zeros((6, 30), np.float32)
    cells[2, 5], cells[0, 0] = 4, 2
    drawn = Overlay(of).draw(scored_frame(of, contributions=cells))[:96]
    expected = np.zeros((96, 480), bool)
    expected[32:48, 80:96] = True
    np.testing.assert_array_equal(~colored(drawn, (128, 128, 128)), expected)


def test_an_alarmed_frame_whose_boxes_are_below_the_threshold_has_tinted_cells() -> None:
    """Its score is smoothed over time; contributions are on the scale of that score."""
    of = info(picture_size=(192, 480), size=(96, 240), threshold=2.0)
    cells = np.zeros((12, 30), np.float32)
    cells[8, 17] = 1.2
    found = regions([[120, 50, 160, 90]])
    known = {"found": found, "region_scores": [1.2], "contributions": scaled(cells, 2.5)}
    picture = Overlay(of).draw(scored_frame(of, score=2.5, **known))[:192]
    inside = picture[90:185, 230:330]  # the box and its surroundings, without the frame of the picture
    assert not colored(inside, ALARM).any()  # no thick box
    expected = np.zeros(inside.shape[:2], bool)
    expected[128 - 90 : 144 - 90, 272 - 230 : 288 - 230] = True
    box = colored(inside, RAISED)
    np.testing.assert_array_equal(~colored(inside, (128, 128, 128)) & ~box, expected)


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    scaled=st.integers(1, 3),
    score=st.floats(-1, 50),
    boxes=st.lists(st.tuples(*[st.integers(-20, 120)] * 4), max_size=3),
    threshold=st.sampled_from([0.0, 1.0, 30.0]),
)
@settings(max_examples=40)
def test_any_result_can_be_drawn(
    size: tuple[int, int], scaled: int, score: float, boxes: list[Any], threshold: float
) -> None:
    picture_size = (size[0] * scaled, size[1] * scaled)
    of = info(size=size, picture_size=picture_size, threshold=threshold)
    cells = np.full((-(-size[0] // 8), -(-size[1] // 8)), score, np.float32)
    drawn = Overlay(of).draw(scored_frame(of, score=score, found=regions(boxes), contributions=cells))
    assert drawn.dtype == np.uint8


def test_the_curve_rises_with_the_score_and_is_coloured_above_the_threshold() -> None:
    strip = ScoreStrip(480, 90, 12, threshold=2.0)
    for i in range(50):
        low = strip.draw(i / 10, 1.9)
    assert not colored(low, ALARM).any()
    for i in range(50, 100):
        high = strip.draw(i / 10, 4.0)
    # five of the ten seconds shown
    assert abs(colored(high, ALARM).any(axis=0).sum() - 240) <= 5
    assert colored(high, ALARM)[:, 360:].any()


@given(a=st.floats(0, 1e6), b=st.floats(0, 1e6))
def test_higher_scores_are_drawn_higher(a: float, b: float) -> None:
    low, high = sorted([a, b])
    assert 0 <= scale(low) <= scale(high) <= 1
    assert (scale(a) > 0.5) == (a > 1)


def test_times_within_a_clip() -> None:
    expected = ["0:00.0", "0:59.9", "1:00.0", "1:02.5", "1:01:01.0"]
    assert [clip_time(x) for x in (0, 59.94, 59.99, 62.5, 3661)] == expected


def record(path: Path, of: SessionInfo, seconds: Sequence[float], **options: Any) -> None:
    output = VideoOutput(path, **options)
    for i, at in enumerate(seconds):
        picture = gray(*of.picture_size, value=(i * 20) % 250)
        output.frame(ScoredFrame(of, result(i, of=of, seconds=at), picture))
    output.close()


def test_a_video_holds_every_frame_at_its_time(tmp_path: Path) -> None:
    of = info(picture_size=(47, 63))  # odd sides
    record(tmp_path / "new" / "a.mp4", of, [i / 10 for i in range(12)])
    pictures, times = decoded(tmp_path / "new" / "a.mp4")
    np.testing.assert_allclose(times, np.arange(12) / 10, atol=1e-4)
    assert [abs(float(p[:100].mean()) - i * 20) < 6 for i, p in enumerate(pictures)] == [True] * 12
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]
    with av.open(str(tmp_path / "new" / "a.mp4")) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        keys = [float(p.pts * p.time_base) for p in container.demux(stream) if p.is_keyframe and p.size]
    np.testing.assert_allclose(keys, [0, 1], atol=1e-4)  # a key frame a second


def test_time_in_a_video_is_real_time_across_gaps_and_goes_on_where_times_go_back(tmp_path: Path) -> None:
    of = info()
    # a gap of 4 seconds, a frame that resampling has repeated, and a clock that restarts
    record(tmp_path / "a.mp4", of, [100, 100.1, 104.1, 104.1, 104.2, 3.0, 3.2])
    _, times = decoded(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, [0, 0.1, 4.1, 4.2, 4.3, 4.5], atol=1e-4)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=20))
@settings(max_examples=25)
def test_times_of_a_video_always_rise(tmp_path_factory: pytest.TempPathFactory, seconds: list[float]) -> None:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    record(path, info(), seconds)
    with av.open(str(path)) as container:
        stamps = sorted(p.pts for p in container.demux(video=0) if p.size)
        kept = 1 + sum(a != b for a, b in pairwise(seconds))
        assert len(set(stamps)) == len(stamps) == kept
        assert all(Fraction(p) >= 0 for p in stamps)


def test_a_later_session_of_another_size_goes_into_the_same_video(tmp_path: Path) -> None:
    output = VideoOutput(tmp_path / "a.mp4")
    for i, size in enumerate([(48, 64), (48, 64), (90, 70)]):
        of = info(picture_size=size, size=size)
        output.frame(ScoredFrame(of, result(i, of=of), gray(*size)))
    output.close()
    pictures, _ = decoded(tmp_path / "a.mp4")
    assert len({picture.shape for picture in pictures}) == 1
    assert len(pictures) == 3


@pytest.mark.parametrize("live", [False, True])
def test_a_video_without_frames_leaves_no_file(tmp_path: Path, live: bool) -> None:
    output = VideoOutput(tmp_path / "a.mp4", live=live)
    output.close()
    output.close()
    assert not list(tmp_path.iterdir())


def test_a_stream_that_is_killed_leaves_a_video_that_plays(tmp_path: Path) -> None:
    output = VideoOutput(tmp_path / "a.mp4", live=True)
    of = info()
    noise = np.random.default_rng(0).integers(0, 255, (80, 48, 64, 3), np.uint8)
    for i, picture in enumerate(noise):
        output.frame(ScoredFrame(of, result(i, of=of), picture))
    copy = shutil.copy(tmp_path / "a.mp4", tmp_path / "killed.mp4")  # as it is on the disk now
    output.close()
    _, times = decoded(Path(copy))
    assert len(times) >= 40
    assert decoded(tmp_path / "a.mp4")[1][: len(times)] == times


class _FullDisk:
    def __init__(self, file: Any, room: int):
        self._file, self.room = file, room

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = self._file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_full_disk_leaves_a_video_that_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_file, "open", lambda *a, **k: _FullDisk(open(*a, **k), 600_000), raising=False)
    output, of = VideoOutput(tmp_path / "a.mp4"), info()
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match=r"a\.mp4: the disk is full") as caught:  # noqa: PT012
        for i in range(400):
            output.frame(ScoredFrame(of, result(i, of=of), rng.integers(0, 255, (48, 64, 3), np.uint8)))
    assert "\n" not in str(caught.value)
    output.close(complete=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.incomplete.mp4"]
    assert len(decoded(tmp_path / "a.incomplete.mp4")[1]) >= 10


def test_a_disk_that_is_full_at_the_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_file, "open", lambda *a, **k: _FullDisk(open(*a, **k), 3000), raising=False)
    output, of = VideoOutput(tmp_path / "a.mp4"), info()
    output.frame(scored_frame(of))
    with pytest.raises(UserError, match=r"a\.mp4: the disk is full"):
        output.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.incomplete.mp4"]


def test_videos_are_mp4(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.avi: .*\.mp4"):
        VideoOutput(tmp_path / "a.avi")


@pytest.mark.parametrize("late", [0, 1, 5, 30])
def test_a_snapshot_shows_the_peak_of_each_event(tmp_path: Path, late: int) -> None:
    # runs that are too short for an event, a gap that is merged, a second event right after the first
    scores = [0, 9, 0, 0, 0, 0, 0, 2, 4, 6, 3, 0, 5, 2, 0, 0, 0, 0, 0, 8, 7, 6, 6, 0]
    of = info(events=EventParams(merge_gap=0.2, min_duration=0.3))
    pictures = [gray(value=10 * i) for i in range(len(scores))]
    output = SnapshotOutput(tmp_path / "new")
    scored_frames: list[ScoredFrame] = []
    for scored, records in play(of, scores, pictures=pictures):
        if scored is not None:
            scored_frames.append(scored)
            if len(scored_frames) > late:  # as privacy holds them back
                output.frame(scored_frames[-1 - late])
        for each in records:
            output.event(each)
    for scored in scored_frames[max(0, len(scored_frames) - late) :]:
        output.frame(scored)
    output.end(of)
    output.close()
    files = {path.name: cv2.imread(str(path)) for path in (tmp_path / "new").iterdir()}
    assert set(files) == {"hall_0m00.90s_event-1.jpg", "hall_0m01.90s_event-2.jpg"}
    for name, picture in files.items():
        peak = 9 if "event-1" in name else 19
        assert np.abs(picture[200, 256].astype(int) - 10 * peak).max() <= 3


def test_snapshots_of_streams_have_the_time_of_day_in_their_name(tmp_path: Path) -> None:
    of = info()
    output = SnapshotOutput(tmp_path)
    for scored, records in play(
        of, [0, 2], pictures=[gray()] * 2, start=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ):
        if scored is not None:
            output.frame(scored)
        for each in records:
            output.event(each)
    assert [path.name for path in tmp_path.iterdir()] == ["hall_2026-01-02T030405.100+0000_event-1.jpg"]


def test_folders_with_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files"):
        SnapshotOutput(tmp_path)
    SnapshotOutput(tmp_path, overwrite=True).close()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is a file"):
        SnapshotOutput(tmp_path / "mine.txt", overwrite=True)
