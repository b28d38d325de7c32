"""Passages: where stretches are altered, and what frames they show."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validation.footage import row, walk
from vad.stream import Frame
from vad.validation.params import ValidateParams
from vad.validation.passages import CONTEXT, Passage, choose
from vad.validation.sheet import curve_frames


def chosen(footage, *, cameras=("hall", "yard"), **params) -> tuple[list[Passage], float]:
    clips = [row(clip, cameras[i % len(cameras)]) for i, clip in enumerate(footage)]
    return choose(clips, footage.__getitem__, ValidateParams(**params))


def clips(number: int, frames: int = 120, **options):
    return {f"val/{i}": walk(frames, seed=i, **options) for i in range(number)}


@settings(max_examples=20)
@given(
    frames=st.integers(1, 300),
    fps=st.sampled_from([2.5, 10.0, 25.0]),
    number=st.integers(1, 4),
    seconds=st.floats(0, 60),
    stretch=st.floats(0.2, 3),
)
def test_stretches_have_context_and_all_passages_the_length_that_is_allowed(
    frames, fps, number, seconds, stretch
):
    footage = clips(number, frames, fps=fps)
    passages, total = chosen(footage, seconds=seconds, stretch=stretch)
    assert total == pytest.approx(sum(len(passage) for passage in passages) / fps)
    assert total <= seconds
    context, length = max(1, round(CONTEXT * fps)), max(2, round(stretch * fps))
    for passage in passages:
        assert 0 <= passage.start < passage.end <= frames
        assert len({stretch.kind for stretch in passage.stretches}) == len(passage.stretches) > 0
        before = passage.start
        for part in passage.stretches:
            assert part.start >= before + context
            assert part.end - part.start == length == len(part.overlay.sources)
            first, last = curve_frames(part, fps)
            assert before <= first < part.start < part.end < last <= passage.end
            others = (other for other in passage.stretches if other is not part)
            assert all(other.end <= first or last <= other.start for other in others)
            before = part.end
        assert passage.end == before + context


def test_clips_cameras_and_kinds_take_turns():
    passages, _ = chosen(clips(3), seconds=200)
    assert [passage.clip for passage in passages[:6]] == 2 * ["val/0", "val/1", "val/2"]
    of_clips = Counter(passage.clip for passage in passages)
    assert max(of_clips.values()) - min(of_clips.values()) <= 1
    kinds = Counter(stretch.kind for passage in passages for stretch in passage.stretches)
    assert len(kinds) == 4
    assert max(kinds.values()) - min(kinds.values()) <= 2
    # no clip gets always the same
    assert len({s.kind for p in passages if p.clip == "val/0" for s in p.stretches}) == 4


def test_of_many_clips_every_camera_comes_first():
    footage = clips(5)
    passages, _ = chosen(footage, seconds=30, cameras=("a", "a", "a", "a", "b"))
    assert [passage.clip for passage in passages[:2]] == ["val/0", "val/4"]


def test_clips_that_are_not_needed_are_not_opened():
    opened = []

    def footage(clip: str):
        opened.append(clip)
        return walk(120)

    choose([row(f"val/{i:03}") for i in range(500)], footage, ValidateParams(seconds=30))
    assert len(opened) <= 5


def test_the_seed_decides():
    footage = clips(2)
    first, again, other = (
        [passage.hash for passage in chosen(footage, seconds=60, seed=seed)[0]] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert len(set(first)) == len(first)


def test_a_further_clip_changes_no_passage_of_the_first_turn_but_its_kinds():
    few, _ = chosen(clips(2), seconds=60, kinds=["pasted"])
    more, _ = chosen(clips(3), seconds=60, kinds=["pasted"])
    assert few[0].hash == more[0].hash


def test_only_the_kinds_that_are_asked_for():
    passages, _ = chosen(clips(2), seconds=60, kinds=["reversed"])
    assert {stretch.kind for passage in passages for stretch in passage.stretches} == {"reversed"}


@pytest.mark.parametrize(
    "footage",
    [
        {},
        clips(2, frames=20),
        {"val/a": replace(walk(), numbers=np.empty(0, int), tracks=np.empty(0, int), boxes=np.empty((0, 4)))},
    ],
    ids=["no clip", "too short", "no regions"],
)
def test_of_unsuitable_footage_there_are_no_passages(footage):
    assert chosen(footage) == ([], 0.0)


def test_a_passage_shows_the_clip_with_overlays_in_its_stretches():
    footage = clips(1)
    (clip, of_clip), (passages, _) = next(iter(footage.items())), chosen(footage, seconds=30)
    passage = passages[0]
    stream = [Frame(7 + t, t / 10, of_clip.frames[t], steps=1 + t % 3) for t in range(len(of_clip))]
    seen = list(passage.shown(stream, of_clip.frames))
    assert passage.clip == clip
    assert [(f.number, f.seconds, f.steps) for f in seen] == [
        (f.number, f.seconds, f.steps) for f in stream[passage.start : passage.end]
    ]
    altered = np.zeros(len(of_clip), bool)
    for stretch in passage.stretches:
        altered[stretch.start : stretch.end] = True
    changed = [(a.pixels != b.pixels).any() for a, b in zip(seen, stream[passage.start :], strict=False)]
    assert not np.any(np.array(changed) & ~altered[passage.start : passage.end])
    assert np.mean(np.array(changed)[altered[passage.start : passage.end]]) > 0.7
