"""Alterations: what frames of an altered stretch show, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.footage import SIDE, walk
from vad.validation.alterations import FACTORS, KINDS
from vad.validation.footage import Footage
from vad.validation.overlay import Overlay

START, END = 25, 40


def alter(kind: str, footage: Footage, seed: int = 0, start: int = START, end: int = END) -> Overlay:
    overlay = KINDS[kind](footage, start, end, np.random.default_rng(seed))
    assert overlay is not None
    return overlay


def shown(overlay: Overlay, footage: Footage, start: int = START) -> np.ndarray:
    """The frames of the stretch with the overlay, at full opacity from first to last."""
    whole = replace(overlay, fade=0)
    n = len(overlay.sources)
    return np.stack([whole.paste(footage.frames[start + i], footage.frames, i) for i in range(n)])


def corner_of_the_thing(frame: np.ndarray) -> int:
    """Its leftmost column."""
    return int(np.flatnonzero((frame >= 200).any(0))[0])


@pytest.mark.parametrize("seed", range(4))
def test_sped_up_moves_the_thing_faster_and_is_on_time_in_the_middle(seed):
    footage = walk()
    overlay = alter("sped_up", footage, seed)
    factor = overlay.sources[1] - overlay.sources[0]
    assert factor in FACTORS
    middle = (START + END) // 2
    for i, frame in enumerate(shown(overlay, footage)):
        source = middle + factor * (START + i - middle)
        assert corner_of_the_thing(frame) == corner_of_the_thing(footage.frames[source])


def test_both_factors_occur():
    footage = walk(90)
    assert {int(np.diff(alter("sped_up", footage, seed).sources)[0]) for seed in range(9)} == set(FACTORS)


def test_reversed_shows_the_thing_of_the_stretch_backwards():
    footage = walk()
    frames = shown(alter("reversed", footage), footage)
    places = [corner_of_the_thing(frame) for frame in frames]
    assert places == [corner_of_the_thing(frame) for frame in footage.frames[START:END]][::-1]


@given(st.integers(0, 1000))
def test_spliced_shows_pieces_of_the_stretch_in_another_order(seed):
    footage = walk(fps=10.0)
    sources = alter("spliced", footage, seed).sources
    assert sorted(sources) == list(range(START, END))
    assert (sources != np.arange(START, END)).any()
    cuts = np.flatnonzero(np.diff(sources) != 1)
    pieces = np.diff([0, *(cuts + 1), END - START])
    assert pieces.min() >= 3  # of 0.4 s at 10 frames per second, four pieces in 15 frames


def test_only_the_place_changes_and_the_input_does_not():
    footage = walk()
    before = footage.frames.copy()
    for kind in KINDS:
        overlay = alter(kind, footage)
        (width, height), frames = overlay.size, shown(overlay, footage)
        for i, frame in enumerate(frames):
            x, y = overlay.corners[i]
            outside = np.ones(frame.shape, bool)
            outside[y : y + height, x : x + width] = False
            assert (frame[outside] == footage.frames[START + i][outside]).all()
        assert (frames != footage.frames[START:END]).any((1, 2)).sum() > (END - START) // 2
    assert (footage.frames == before).all()


def test_the_thing_that_is_pasted_is_cut_out_and_keeps_its_pace():
    footage = walk(speed=1.0, size=(90, 48))
    for seed in range(6):
        overlay = alter("pasted", footage, seed)
        x0, y0, x1, y1 = overlay.box
        assert (x1 - x0, y1 - y0) == (SIDE, SIDE)
        steps = np.diff(overlay.corners, axis=0)
        assert abs(steps[:, 0] - 1).max() <= 1  # to the right, a pixel per frame
        assert (steps[:, 1] == 0).all()
        enlarged = overlay.size[0] / SIDE
        assert (enlarged == 1) if overlay.upside_down else (1.4 <= enlarged <= 2.1)


def test_upside_down_is_the_mirrored_picture():
    footage = walk()
    footage.frames[:, footage.boxes[0, 1] : footage.boxes[0, 1] + SIDE // 2] //= 2  # a dark upper half
    overlay = next(o for seed in range(20) if (o := alter("pasted", footage, seed)).upside_down)
    i = len(overlay.sources) // 2
    (x, y), (x0, y0, x1, y1) = overlay.corners[i], overlay.box
    part = footage.frames[overlay.sources[i], y0:y1, x0:x1]
    frame = shown(overlay, footage)[i][y : y + SIDE, x : x + SIDE]
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_array_equal(frame[inner], part[::-1][inner])


def test_overlays_fade_in_and_out():
    footage = walk(fps=10.0)
    overlay = alter("pasted", footage)
    assert overlay.fade == 3
    full = shown(overlay, footage).astype(float)
    for i, share in [(0, 1 / 4), (1, 2 / 4), (2, 3 / 4), (3, 1), (11, 1), (12, 3 / 4), (14, 1 / 4)]:
        bare = footage.frames[START + i].astype(float)
        faded = overlay.paste(footage.frames[START + i], footage.frames, i)
        np.testing.assert_allclose(faded, bare + share * (full[i] - bare), atol=1)


def test_a_camouflaged_thing_is_pasted_with_its_whole_box():
    footage = walk()
    still = replace(footage, frames=np.repeat(footage.frames[:1], 60, axis=0))  # equal to its background
    assert alter("pasted", still).outline is None
    assert alter("pasted", footage).outline is not None


@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 100),
    start=st.integers(0, 60),
    length=st.integers(2, 40),
    color=st.booleans(),
    whole=st.booleans(),
    speed=st.sampled_from([0.0, 0.7, 3.0]),
    size=st.sampled_from([(64, 48), (17, 90), (200, 21)]),
)
def test_whatever_is_altered_stays_in_clip_and_picture(kind, seed, start, length, color, whole, speed, size):
    footage = walk(60, color=color, whole=whole, speed=speed, size=size)
    end = min(60, start + length)
    if end - start < 2:
        return
    made = [KINDS[kind](footage, start, end, np.random.default_rng(seed)) for _ in range(2)]
    if made[0] is None:
        assert made[1] is None
        assert kind == "sped_up" or not whole
        return
    for overlay in made:
        assert overlay.sources.shape == (end - start,)
        assert ((overlay.sources >= 0) & (overlay.sources < 60)).all()
        assert (overlay.corners >= 0).all()
        assert (overlay.corners + overlay.size <= size).all()
        for i in (0, end - start - 1):
            frame = overlay.paste(footage.frames[start + i], footage.frames, i)
            assert frame.shape == footage.frames[0].shape
            assert frame.dtype == np.uint8
    for key, value in vars(made[0]).items():  # the same seed gives the same
        if not key.startswith("_"):
            np.testing.assert_array_equal(value, vars(made[1])[key])


def test_what_stands_still_is_not_altered_in_time():
    footage = walk(speed=0.0)
    rng = np.random.default_rng(0)
    assert all(KINDS[kind](footage, START, END, rng) is None for kind in ("sped_up", "reversed", "spliced"))
    assert KINDS["pasted"](footage, START, END, rng) is not None


def test_a_thing_that_is_seen_too_briefly_is_not_altered():
    footage = walk()
    brief = (footage.numbers < START + 4) | (footage.numbers >= END)
    gone = replace(
        footage, numbers=footage.numbers[brief], tracks=footage.tracks[brief], boxes=footage.boxes[brief]
    )
    assert KINDS["reversed"](gone, START, END, np.random.default_rng(0)) is None


def test_a_clip_that_is_too_short_cannot_be_sped_up():
    footage = walk(20)
    assert KINDS["sped_up"](footage, 1, 19, np.random.default_rng(0)) is None


def test_without_regions_there_is_nothing_to_paste():
    footage = walk()
    none = replace(footage, numbers=np.empty(0, int), tracks=np.empty(0, int), boxes=np.empty((0, 4), int))
    for kind in KINDS:
        assert KINDS[kind](none, START, END, np.random.default_rng(0)) is None


def test_of_whole_frames_the_rectangle_that_changes_is_altered():
    footage = walk(whole=True, speed=1.0)
    hits = 0
    for seed in range(10):
        x0, y0, x1, y1 = alter("reversed", footage, seed).box
        hits += bool((footage.frames[START:END, y0:y1, x0:x1] >= 200).any())
    assert hits >= 9
