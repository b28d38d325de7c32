"""RBDC and TBDC by hand, and compared with their definitions in integer arithmetic."""

import tracemalloc
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.evaluation.region_metrics import RegionLevel

STEP, SIDE = 10, 40  # by hand: 4 x 4 cells
A, B, C = (0, 0), (0, 3), (3, 3)  # cells in three corners
EVERYWHERE = [(y, x) for y in range(4) for x in range(4)]


def scores(cells: dict | None = None) -> np.ndarray:
    """A map that is 0 except in some cells."""
    out = np.zeros((4, 4))
    for at, score in (cells or {}).items():
        out[at] = score
    return out


def mask(*cells: tuple[int, int], scale: int = 1) -> np.ndarray:
    """A mask of anomalous cells, in pixels of a source larger than the frame by a factor."""
    small = np.zeros((4, 4), bool)
    for at in cells:
        small[at] = True
    return np.kron(small, np.ones((STEP * scale, STEP * scale), bool))


def measured(thresholds: list, *clips: tuple[list, list], step: int = STEP, side: int = SIDE) -> dict:
    """The figures of clips, given as lists of maps and of masks."""
    level = RegionLevel(thresholds)
    for number, (maps, masks) in enumerate(clips):
        level.add(f"test/{number}", iter(maps), iter(masks), (side, side), step)
    return level.result()


def figures(*args, **kwargs) -> tuple[float, float]:
    got = measured(*args, **kwargs)
    return pytest.approx(got["rbdc"]), pytest.approx(got["tbdc"])


def test_perfect_detections_score_1_and_no_detections_score_0():
    masks = [mask(A), mask(A, C), mask()]
    maps = [scores({A: 1}), scores({A: 1, C: 1}), scores()]
    counts = {"frames": 3, "regions": 3, "tracks": 2, "thresholds": 1}
    assert measured([0.5], (maps, masks)) == counts | {"rbdc": 1.0, "tbdc": 1.0}
    assert figures([0.5], ([scores()] * 3, masks)) == (0, 0)
    assert figures([1], (maps, masks)) == (0, 0)  # above the threshold, not at it


@pytest.mark.parametrize("scale", [1, 3])
def test_boxes_are_compared_in_pixels_of_the_source(scale):
    clip = [scores({C: 1})], [mask(C, scale=scale)]
    assert figures([0.5], clip) == (1, 1)
    assert figures([0.5], ([scores({B: 1})], clip[1])) == (0, 0)


def test_detecting_one_of_two_regions_scores_a_half():
    assert figures([0.5], ([scores({A: 1})], [mask(A, C)])) == (0.5, 0.5)


def test_rbdc_and_tbdc_by_hand():
    """Thresholds fall to (0, 1/2), then (1/2, 1/2), then (1/2, 1)."""
    clip = [scores({A: 3, C: 2}), scores({A: 1})], [mask(A), mask(A)]
    assert figures([2.5, 1.5, 0.5], clip) == (0.5 * 0.5 + 0.5 * 1, 1)
    apart = ([scores({A: 3, C: 2})], [mask(A)]), ([scores({A: 1})], [mask(A)])  # two tracks
    assert figures([2.5, 1.5, 0.5], *apart) == (0.75, 0.75)


def test_a_curve_is_cut_at_one_false_positive_per_frame():
    """From (0, 0) to (2, 1): at 1 it has come to 1/2."""
    clip = [scores({A: 1, B: 1, C: 1})], [mask(A)]
    assert figures([0.5], clip) == (0.25, 0.25)


def test_a_curve_is_constant_after_its_last_point():
    """From (0, 0) to (1/2, 1)."""
    clip = [scores({A: 1, B: 1}), scores()], [mask(A), mask()]
    assert figures([0.5], clip) == (0.25 + 0.5, 0.75)


def test_regions_lost_at_a_lower_threshold_still_count():
    """First the region alone, then all cells as a region that is 16 times as large."""
    clip = [scores(dict.fromkeys(EVERYWHERE, 1) | {A: 3})], [mask(A)]
    assert figures([2, 0.5], clip) == (1, 1)
    assert figures([0.5], clip) == (0, 0)


def test_false_positives_that_merge_into_a_detection_do_not_count():
    """First two of a 16th of the region each, at (2, 0), then all of it, at (0, 1)."""
    clip = [scores(dict.fromkeys(EVERYWHERE, 1) | {A: 3, C: 3})], [mask(*EVERYWHERE)]
    assert figures([2], clip) == (0, 0)
    assert figures([2, 0.5], clip) == (1, 1)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize(("width", "rbdc"), [(70, 1), (71, 0)])
def test_an_iou_of_a_tenth_is_a_match(width, rbdc, scale):
    """A region 7 pixels wide in a detected row of cells of 8, of which the last is cut to 6 or 7 pixels."""
    truth = np.zeros((8 * scale, width * scale), bool)
    truth[:, : 7 * scale] = True
    level = RegionLevel([0.5])
    level.add("test/a", [np.ones((1, 9))], [truth], (8, width), 8)
    assert level.result()["rbdc"] == rbdc


@pytest.mark.parametrize(("length", "tbdc"), [(10, 1), (11, 0)])
def test_a_track_is_detected_if_a_tenth_of_its_regions_is(length, tbdc):
    clip = [scores({A: 1})] + [scores()] * (length - 1), [mask(A)] * length
    assert figures([0.5], clip) == (1 / length, tbdc)


def test_corners_connect_in_masks_and_maps():
    diagonal = [(i, i) for i in range(4)]
    got = measured([0.5], ([scores(dict.fromkeys(diagonal, 1))], [mask(*diagonal)]))
    assert (got["regions"], got["rbdc"]) == (1, 1.0)


def test_a_box_around_two_regions_detects_both():
    row = [(0, x) for x in range(4)]
    assert figures([0.5], ([scores(dict.fromkeys(row, 1))], [mask(A, B)])) == (1, 1)


@pytest.mark.parametrize(
    ("clips", "tracks"),
    [
        ([[mask(A), mask(A), mask(A)]], 1),
        ([[mask(A), mask(), mask(A)]], 2),  # a gap
        ([[mask(A)], [mask(A)]], 2),  # another clip
        ([[mask(A), mask(C)]], 2),  # no pixel in common
        ([[mask(A, (0, 1), (0, 2), B), mask(A, C, (0, 2), B)]], 3),  # a split: only the larger part continues
        (
            [[mask(A, C, (0, 2), B), mask(A, (0, 1), (0, 2), B)]],
            3,
        ),  # a merger: only the larger part continues
    ],
)
def test_tracks_are_regions_that_share_pixels_from_frame_to_frame(clips, tracks):
    got = measured([0.5], *(([scores()] * len(masks), masks) for masks in clips))
    assert got["tracks"] == tracks


def test_the_part_that_shares_most_continues_the_track():
    """A row of 4 cells, detected in 1 of 9 frames, splits into a cell and a part of two cells."""
    row, parts = mask(A, (0, 1), (0, 2), B), mask(A, (0, 2), B)
    masks = [row] * 9 + [parts]
    detected_once = [scores(dict.fromkeys([A, (0, 1), (0, 2), B], 1))] + [scores()] * 8
    assert figures([0.5], ([*detected_once, scores()], masks))[1] == 0.5
    # had the smaller part continued the track, both tracks would be detected here
    assert figures([0.5], ([*detected_once, scores({(0, 2): 1, B: 1})], masks))[1] == 0.5
    assert figures([0.5], ([*detected_once, scores({A: 1})], masks))[1] == 1.0


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("long", "short", "tbdc"),
    [((1, 0), (0, 2), 0.5), ((0, 2), (1, 0), 0.0), ((0, 0), (0, 2), 0.0), ((0, 2), (0, 0), 0.5)],
)
def test_of_parts_that_share_equally_many_pixels_the_upper_then_the_left_continues(
    long, short, tbdc, backwards
):
    """A region for 10 frames, another in the last of them; then both merge, and only that is detected.

    That is 1 of 11 regions if the long track continues, 1 of 2 if the short one does. Backwards, it splits.
    """
    masks, maps = np.zeros((11, 2, 3), bool), np.zeros((11, 2, 3))
    masks[:10, *long] = masks[9, *short] = True
    masks[10] = maps[10] = 1
    turn = -1 if backwards else 1
    level = RegionLevel([0.5])
    level.add("test/a", maps[::turn], masks[::turn], (2, 3), 1)
    assert (level.result()["tracks"], level.result()["tbdc"]) == (2, tbdc)


Clip = tuple[list[np.ndarray], list[np.ndarray]]


@st.composite
def footage(draw: st.DrawFn) -> tuple[list[Clip], tuple[int, int], int, list[float]]:
    """Clips of maps with ties and of masks with many small regions; thresholds, some of them twice."""
    frame, source = ((draw(st.integers(1, 14)), draw(st.integers(1, 14))) for _ in range(2))
    step = draw(st.integers(1, 4))
    shape = tuple(-(-side // step) for side in frame)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density, levels = draw(st.sampled_from([0.1, 0.3, 0.5])), draw(st.sampled_from([2, 6, 1000]))
    clips = []
    for _ in range(draw(st.integers(1, 2))):
        length = draw(st.integers(1, 5))
        maps = [random.integers(-2, levels, shape).astype(np.float16) / 4 for _ in range(length)]
        masks = [random.random(source) < density * random.integers(0, 2) for _ in range(length)]
        clips.append((maps, masks))
    values = np.unique([clip[0] for clip in clips[0][:1]])
    thresholds = draw(st.lists(st.sampled_from(values.tolist()) | st.floats(-1, 3), min_size=1, max_size=6))
    return clips, frame, step, sorted(map(float, thresholds), reverse=True)


def components(picture: np.ndarray) -> list[set[tuple[int, int]]]:
    """Sets of pixels, by walking from pixel to neighbour."""
    left = set(zip(*(axis.tolist() for axis in picture.nonzero()), strict=True))
    out = []
    while left:
        edge, part = [left.pop()], set()
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        out.append(part)
    return out


def box(part: set, cell: tuple = (1, 1), limit: tuple = (99, 99), scale: tuple = (1, 1)) -> tuple:
    """y0, x0, y1, x1, of cells of some pixels, cut at the frame's edge, times the scale."""
    low = [min(at[axis] for at in part) * cell[axis] for axis in (0, 1)]
    high = [min((max(at[axis] for at in part) + 1) * cell[axis], limit[axis]) for axis in (0, 1)]
    return tuple(side * by for side, by in zip(low + high, scale * 2, strict=True))


def overlap(a: tuple, b: tuple) -> Fraction:
    """Intersection over union."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return Fraction(shared) / (sum(areas) - shared)


def tracks_of(masks: list[np.ndarray]) -> list[list[tuple[int, tuple]]]:
    """Tracks as lists of (frame, box)."""
    done, running = [], {}
    before: list[set] = []
    for number, picture in enumerate(masks):
        now = components(picture)
        pairs = [(-len(a & b), box(a), box(b)) for a in before for b in now if a & b]
        heirs: dict[tuple, tuple] = {}
        for _, a, b in sorted(pairs):
            if a not in heirs and b not in heirs.values():
                heirs[a] = b
        following = {box(b): [(number, box(b))] for b in now}
        for a, track in running.items():
            if a in heirs:
                following[heirs[a]] = track + following[heirs[a]]
            else:
                done.append(track)
        before, running = now, following
    return done + list(running.values())


def area(points: list[tuple[Fraction, Fraction]]) -> Fraction:
    """Area under the points joined in their order, up to x = 1, with y replaced by its running maximum."""
    total, best = Fraction(0), Fraction(0)
    curve = [(x, best := max(best, y)) for x, y in sorted([(Fraction(0), Fraction(0)), *points])]
    for (x0, y0), (x1, y1) in pairwise([*curve, (max(curve[-1][0], Fraction(1)), best)]):
        if x0 < 1 and x1 > x0:
            end = min(x1, Fraction(1))
            at_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            total += (end - x0) * (y0 + at_end) / 2
    return total


@given(footage())
@settings(max_examples=60)
def test_rbdc_and_tbdc_equal_a_computation_from_their_definitions(case):
    clips, frame, step, thresholds = case
    level = RegionLevel(thresholds)
    for maps, masks in clips:
        level.add("test/a", iter(maps), iter(masks), frame, step)
    got = level.result()

    source = clips[0][1][0].shape
    scale = tuple(Fraction(s, f) for s, f in zip(source, frame, strict=True))
    tracks = [[(i, *entry) for entry in t] for i, clip in enumerate(clips) for t in tracks_of(clip[1])]
    regions = Counter(entry for track in tracks for entry in track)
    frames = sum(len(maps) for maps, _ in clips)
    assert (got["frames"], got["thresholds"]) == (frames, len(thresholds))
    assert (got["regions"], got["tracks"]) == (len(regions), len(tracks))
    if not regions:
        assert got["absent"] == "no pixel of the frames with masks is anomalous"
        assert not {"rbdc", "tbdc"} & set(got)
        return
    by_region, by_track = [], []
    for threshold in thresholds:
        detected, false_positives = set(), 0
        for i, (maps, _) in enumerate(clips):
            for number, cell_scores in enumerate(maps):
                true = [entry for entry in regions if entry[:2] == (i, number)]
                for part in components(cell_scores.astype(float) > threshold):
                    detection = box(part, (step, step), frame, scale)
                    hits = {entry for entry in true if overlap(detection, entry[2]) >= Fraction(1, 10)}
                    detected |= hits
                    false_positives += not hits
        shares = [Fraction(len(detected & set(track)), len(track)) for track in tracks]
        x = Fraction(false_positives, frames)
        by_region.append((x, Fraction(len(detected), len(regions))))
        by_track.append((x, Fraction(sum(share >= Fraction(1, 10) for share in shares), len(tracks))))
    assert got["rbdc"] == pytest.approx(float(area(by_region)), abs=1e-12)
    assert got["tbdc"] == pytest.approx(float(area(by_track)), abs=1e-12)


def test_thresholds_are_not_rounded_to_the_maps_float16():
    """In float16 both 0.10001 and the score are 0.10003662."""
    clip = [scores({A: 0.10003662}).astype(np.float16)], [mask(A)]
    assert figures([0.10001], clip) == (1, 1)


def test_without_frames_or_anomalies_a_reason_is_given():
    assert measured([0.5]) == {"absent": "no test frame has a mask"}
    counts = {"frames": 1, "regions": 0, "tracks": 0, "thresholds": 1}
    why = {"absent": "no pixel of the frames with masks is anomalous"}
    assert measured([0.5], ([scores({A: 1})], [mask()])) == counts | why


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        ([scores()], [mask(), mask()], "clip 'test/0': 1 maps, but more masks; expected as many"),
        ([scores(), scores()], [mask()], "clip 'test/0': 1 masks, but more maps; expected as many"),
        ([np.zeros((5, 4))], [mask()], r"map of frame 0 has 5x4 cells .*expected 4x4 for frames of 40x40"),
        ([scores(), scores({A: np.nan})], [mask()] * 2, r"clip 'test/0': the map of frame 1 holds NaN"),
    ],
)
def test_maps_and_masks_that_do_not_fit_are_refused(maps, masks, message):
    with pytest.raises(UserError, match=message):
        measured([0.5], (maps, masks))


def test_thresholds_must_descend():
    with pytest.raises(ValueError, match="descend"):
        RegionLevel([1.0, 2.0])


def test_memory_does_not_grow_with_the_frames():
    """Maps and masks are created frame by frame, and not kept."""
    random = np.random.default_rng(0)
    picture = random.random((240, 360)) < 0.0005

    def peak(frames: int) -> int:
        level = RegionLevel([0.99, 0.9])
        tracemalloc.start()
        maps = (random.random((30, 45)) for _ in range(frames))
        level.add("test/a", maps, (np.roll(picture, 9 * i) for i in range(frames)), (240, 360), 8)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(100) < 1.1 * peak(10) + 100_000
