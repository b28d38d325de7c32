"""What privacy leaves of people, by footage in which it is known where they are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detect.scored_frames import info, regions, result
from vad import UserError
from vad.detect.options import require_possible
from vad.detect.outputs import Output
from vad.detect.source_outputs import SourceOutputs
from vad.overlay.learned_background import GRAY
from vad.overlay.privacy import CELLS, SILHOUETTE, Privacy, blurred, processor
from vad.overlay.privacy_boxes import HOLD, MARGIN
from vad.overlay.scored_frame import ScoredFrame
from vad.regions import REGION_MODES
from vad.stream import Regions

SIZE = HEIGHT, WIDTH = 96, 160
TALL, WIDE = 60, 24
FPS = 10.0
Box = tuple[int, int, int, int]


def scene(
    boxes: Sequence[Box | None], texture: int = 0, levels: tuple[int, int] = (0, 100)
) -> list[np.ndarray]:
    """Pictures of a bright textured background with a darker textured person in the boxes."""
    background = np.random.default_rng(99).integers(170, 255, (*SIZE, 3), np.uint8)
    person = np.random.default_rng(texture).integers(*levels, (TALL, WIDE, 3), np.uint8)
    pictures = []
    for box in boxes:
        picture = background.copy()
        if box is not None:
            x0, y0, x1, y1 = box
            picture[y0:y1, x0:x1] = person[: y1 - y0, : x1 - x0]
        pictures.append(picture)
    return pictures


def walk(frames: int, step: float = 2, first: int = 0) -> list[Box]:
    """The boxes of somebody who walks to the right."""
    at = [first + round(step * i) for i in range(frames)]
    return [(x, 20, x + WIDE, 20 + TALL) for x in at]


def private(
    privacy: Privacy,
    pictures: Sequence[np.ndarray],
    found: Sequence[Regions],
    *,
    seconds: Sequence[float] | None = None,
    warming_up: int = 0,
) -> list[np.ndarray]:
    """The pictures after privacy, all of them, in order."""
    of = info(size=SIZE, picture_size=SIZE, fps=FPS)
    of_pictures, scored_frames = processor(privacy), []
    originals = [picture.copy() for picture in pictures]
    for i, (picture, here) in enumerate(zip(pictures, found, strict=True)):
        at = i / FPS if seconds is None else seconds[i]
        outcome = result(i, of=of, found=here, seconds=at, warming_up=i < warming_up)
        scored_frames += of_pictures.process(ScoredFrame(of, outcome, picture))
    scored_frames += of_pictures.finish()
    assert [scored.result.index for scored in scored_frames] == list(range(len(pictures)))
    assert all((a == b).all() for a, b in zip(pictures, originals, strict=True))  # not changed in place
    return [scored.picture for scored in scored_frames if scored.picture is not None]


def detail(picture: np.ndarray) -> np.ndarray:
    """What is left of a picture without its coarse brightness."""
    gray = picture.astype(np.float32).mean(axis=-1)
    return gray - cv2.GaussianBlur(gray, (0, 0), 2)


def likeness(a: np.ndarray, b: np.ndarray, box: Box) -> float:
    """Correlation of the details of two pictures within a box."""
    x0, y0, x1, y1 = box
    u, v = (detail(picture[y0:y1, x0:x1]).ravel() for picture in (a, b))
    return abs(float(np.corrcoef(u, v)[0, 1])) if u.std() > 1e-6 and v.std() > 1e-6 else 0.0


def detections(boxes: Sequence[Box | None], where: Sequence[bool]) -> list[Regions]:
    """The boxes where the detector found them."""
    return [
        regions([box] if seen and box is not None else []) for box, seen in zip(boxes, where, strict=True)
    ]


def test_without_privacy_pictures_are_unchanged() -> None:
    boxes = walk(5)
    pictures = scene(boxes)
    after = private("none", pictures, detections(boxes, [True] * 5))
    assert all(a is b for a, b in zip(after, pictures, strict=True))


@pytest.mark.parametrize("every", [1, 3, 7])
def test_blur_leaves_nothing_of_the_details_of_people_and_everything_else(every: int) -> None:
    boxes = walk(40)
    pictures = scene(boxes)
    seen = [i % every == 0 for i in range(40)]
    after = private("blur", pictures, detections(boxes, seen))
    for i in range(36):
        assert likeness(pictures[i], after[i], boxes[i]) < 0.2
        assert likeness(pictures[i], pictures[i], boxes[i]) > 0.99  # the measure works
        if not seen[i]:
            continue
        x0, y0, x1, y1 = boxes[i]
        outside = np.ones(SIZE, bool)
        grow_x, grow_y = int(MARGIN * WIDE) + 1, int(MARGIN * TALL) + 1
        outside[max(0, y0 - grow_y) : y1 + grow_y, max(0, x0 - grow_x) : x1 + grow_x] = False
        assert (after[i][outside] == pictures[i][outside]).all()
        assert outside.sum() > 0.4 * outside.size


def test_people_are_hidden_where_they_reach_out_of_their_boxes() -> None:
    boxes = walk(10)
    pictures = scene(boxes)
    # an eighth of each side is missing on each side of the box
    narrow = [(x0 + WIDE // 8, y0 + TALL // 8, x1 - WIDE // 8, y1 - TALL // 8) for x0, y0, x1, y1 in boxes]
    for picture, after, box in zip(
        pictures, private("blur", pictures, detections(narrow, [True] * 10)), boxes, strict=True
    ):
        x0, y0, x1, _ = box
        head: Box = (x0, y0, x1, y0 + TALL // 8)
        assert likeness(picture, after, box) < 0.2
        assert likeness(picture, after, head) < 0.5


def test_blur_also_hides_people_shortly_before_and_after_they_are_detected() -> None:
    boxes = walk(60)
    pictures = scene(boxes)
    after = private("blur", pictures, detections(boxes, [20 <= i < 40 for i in range(60)]))
    hidden = [likeness(a, b, box) < 0.2 for a, b, box in zip(pictures, after, boxes, strict=True)]
    before_and_after = round(HOLD * FPS)
    assert hidden[20 - before_and_after + 1 : 40 + before_and_after - 1] == [True] * 38
    # what a model misses for longer is shown: that is what the help says
    assert (after[0] == pictures[0]).all()
    assert (after[-1] == pictures[-1]).all()


def test_people_in_ignored_zones_are_hidden_as_well() -> None:
    boxes = walk(15)
    pictures = scene(boxes)
    of, of_pictures, scored_frames = info(size=SIZE, picture_size=SIZE, fps=FPS), processor("blur"), []
    for i, picture in enumerate(pictures):
        outcome = replace(result(i, of=of), not_judged=regions([boxes[i]]))
        scored_frames += of_pictures.process(ScoredFrame(of, outcome, picture))
    for scored, picture, box in zip([*scored_frames, *of_pictures.finish()], pictures, boxes, strict=True):
        assert scored.picture is not None
        assert likeness(picture, scored.picture, box) < 0.2


def test_boxes_without_tracks_are_held_as_well() -> None:
    pictures = scene([(50, 20, 50 + WIDE, 20 + TALL)] * 30)
    found = [regions([(50, 20, 50 + WIDE, 20 + TALL)] if i == 15 else []) for i in range(30)]
    found[15].tracks[:] = -1
    after = private("blur", pictures, found)
    changed = [(a != b).any() for a, b in zip(pictures, after, strict=True)]
    assert changed == [5 <= i <= 25 for i in range(30)]


@pytest.mark.parametrize("warming_up", [0, 3])
def test_the_whole_picture_is_blurred_where_nobody_knows_where_people_are(warming_up: int) -> None:
    boxes = walk(3)
    pictures = scene(boxes)
    found = [regions([] if warming_up else [(0, 0, WIDTH, HEIGHT)], "frame")] * 3
    after = private("blur", pictures, found, warming_up=warming_up)
    for before, blurry, box in zip(pictures, after, boxes, strict=True):
        assert likeness(before, blurry, box) < 0.2
        assert detail(blurry).std() < 0.15 * detail(before).std()


@given(height=st.integers(1, 200), width=st.integers(1, 200), seed=st.integers(0, 5))
def test_few_colours_are_left_of_a_box_of_any_size(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    after = blurred(picture, CELLS)
    assert after.shape == picture.shape
    if min(height, width) >= 12:
        assert after.std() < 0.5 * picture.std()
    if min(height, width) <= 4:
        # a single cell across, but for rounding
        assert min(np.ptp(after, axis=0).max(), np.ptp(after, axis=1).max()) <= 1


def test_two_people_of_the_same_brightness_look_the_same() -> None:
    boxes = walk(20)
    found = detections(boxes, [True] * 20)
    # faces of the same mean, one with stripes along, one with stripes across
    a, b = scene(boxes), scene(boxes)
    for first, second, (x0, y0, x1, y1) in zip(a, b, boxes, strict=True):
        first[y0:y1, x0:x1] = np.where(np.arange(WIDE) % 4 < 2, 20, 80)[None, :, None]
        second[y0:y1, x0:x1] = np.where(np.arange(TALL) % 4 < 2, 20, 80)[:, None, None]
    for one, other in zip(private("blur", a, found), private("blur", b, found), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 12


def test_silhouettes_tell_nothing_but_the_outline() -> None:
    # somebody walks in, lies still for long, and walks on
    boxes: list[Box | None] = [None] * 15
    boxes += walk(20) + [walk(20)[-1]] * 80 + walk(30, first=38)  # type: ignore[arg-type]
    boxes += [None] * 20
    found = detections(boxes, [True] * len(boxes))
    one = private("silhouette", scene(boxes, 1), found)
    other = private("silhouette", scene(boxes, 2, (40, 140)), found)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    background = scene([None])[0]
    for i, (picture, box) in enumerate(zip(one, boxes, strict=True)):
        silhouette = (picture == SILHOUETTE).all(axis=-1)
        unknown = (picture == GRAY).all(axis=-1)
        shown = ~silhouette & ~unknown
        assert (picture[shown] == background[shown]).all()
        if box is None:
            assert not silhouette.any()
        else:
            x0, y0, x1, y1 = box
            assert silhouette[y0:y1, x0:x1].mean() > 0.95
            assert silhouette.sum() < 1.35 * TALL * WIDE
        if i > 30:
            assert unknown.mean() < 0.5
    assert not (one[-1] == GRAY).all(axis=-1).any()  # in the end all of the background has been seen


def test_somebody_who_is_missed_and_walks_through_leaves_next_to_no_trace() -> None:
    boxes: list[Box | None] = [None] * 40 + list(walk(60, step=3)) + [None] * 5
    boxes = [box if box is None or box[2] <= WIDTH else None for box in boxes]
    after = private("silhouette", scene(boxes), [regions() for _ in boxes])
    background = scene([None])[0].astype(int)
    for picture in after[20:]:
        assert np.abs(picture - background).max() <= 4  # of a difference of up to 255


def test_somebody_who_is_missed_from_the_beginning_is_not_shown_before_they_keep_still() -> None:
    boxes = walk(40, step=3)
    boxes = [box for box in boxes if box[2] <= WIDTH]
    pictures = scene(boxes)
    for picture, after, box in zip(
        pictures, private("silhouette", pictures, [regions()] * len(boxes)), boxes, strict=True
    ):
        assert likeness(picture, after, box) < 0.2


def test_nothing_is_learned_while_it_is_not_known_what_moves() -> None:
    pictures = scene([(50, 20, 50 + WIDE, 20 + TALL)] * 40)
    after = private("silhouette", pictures, [regions()] * 40, warming_up=40)
    assert all((picture == GRAY).all() for picture in after)


def test_the_foreground_is_the_silhouette_in_modes_that_keep_it() -> None:
    boxes = walk(60)
    found = []
    for x0, y0, x1, y1 in boxes:
        foreground = np.zeros(SIZE, bool)
        foreground[y0:y1, x0:x1] = True
        whole = regions([(0, 0, WIDTH, HEIGHT)], "frame")
        found.append(Regions(whole.boxes, whole.tracks, whole.sources, whole.confidence, None, foreground))
    pictures = scene(boxes)
    for picture, after, region in zip(pictures, private("silhouette", pictures, found), found, strict=True):
        assert region.foreground is not None
        np.testing.assert_array_equal((after == SILHOUETTE).all(axis=-1), region.foreground)
        shown = ~(after == GRAY).all(axis=-1) & ~region.foreground
        assert (after[shown] == picture[shown]).all()


def test_silhouettes_are_refused_by_name_where_a_model_judges_whole_frames() -> None:
    for name in REGION_MODES.names():
        mode = REGION_MODES.get(name)
        if name == "none":
            with pytest.raises(UserError, match=r"preprocess\.mode: none.*--privacy blur"):
                require_possible("silhouette", mode)  # type: ignore[arg-type]
        else:
            require_possible("silhouette", mode)  # type: ignore[arg-type]
        require_possible("blur", mode)  # type: ignore[arg-type]


@given(seconds=st.lists(st.floats(0, 100), max_size=30), kind=st.sampled_from(["blur", "silhouette"]))
@settings(max_examples=30)
def test_no_frame_is_lost_or_late_whatever_the_times(seconds: list[float], kind: Privacy) -> None:
    of, out = info(), []
    of_pictures = processor(kind)
    box = regions([(5, 5, 20, 40)])
    for i, at in enumerate(seconds):
        picture = np.full((48, 64, 3), 200, np.uint8)
        out += of_pictures.process(ScoredFrame(of, result(i, of=of, found=box, seconds=at), picture))
        latest = [scored.result.index for scored in out]
        late = [j for j in range(i + 1) if j not in latest and seconds[j] + HOLD < at]
        assert not late
    out += of_pictures.finish()
    assert [scored.result.index for scored in out] == list(range(len(seconds)))


class _Pictures(Output):
    wants_pictures: ClassVar[bool] = True

    def __init__(self) -> None:
        self.scored_frames: list[ScoredFrame] = []
        self.complete: bool | None = None

    def frame(self, scored: ScoredFrame) -> None:
        self.scored_frames.append(scored)

    def close(self, *, complete: bool = True) -> None:
        self.complete = complete


class _Numbers(_Pictures):
    wants_pictures: ClassVar[bool] = False


class _Broken(_Pictures):
    def close(self, *, complete: bool = True) -> None:
        raise UserError("the disk is full")


def test_pictures_reach_outputs_only_after_privacy(tmp_path: Path) -> None:
    pictures, numbers, broken = _Pictures(), _Numbers(), _Broken()
    outputs = SourceOutputs([numbers, broken, pictures], "blur")
    assert outputs.need_pictures
    assert not SourceOutputs([numbers]).need_pictures
    of = info(size=SIZE, picture_size=SIZE, fps=FPS)
    boxes = walk(15)
    originals = scene(boxes)
    for i, picture in enumerate(originals):
        outputs.frame(ScoredFrame(of, result(i, of=of, found=regions([boxes[i]])), picture))
        assert len(numbers.scored_frames) == i + 1  # at once
    assert all(scored.picture is None for scored in numbers.scored_frames)
    outputs.end(of)
    assert len(pictures.scored_frames) == 15
    for scored, original, box in zip(pictures.scored_frames, originals, boxes, strict=True):
        assert scored.picture is not None
        assert likeness(scored.picture, original, box) < 0.2
    with pytest.raises(UserError, match="the disk is full"):
        outputs.close(complete=False)
    assert (pictures.complete, numbers.complete) == (False, False)
