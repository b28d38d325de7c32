"""Folds of the normal clips: even, per camera, and stretches of clips that show nothing twice."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.footage.folds import GUARD, assign_folds
from vad.footage.info import Info
from vad.footage.source_clip import SourceClip

FPS = 10.0


def footage(lengths: dict[str, list[int]]) -> tuple[list[SourceClip], dict[Path, Info]]:
    """Training clips by camera, of so many frames, and a test clip."""
    clips = [
        SourceClip("train", f"{camera}/{i}", Path(f"{camera}{i}"), camera)
        for camera, frames in lengths.items()
        for i in range(len(frames))
    ]
    all_frames = [n for frames in lengths.values() for n in frames]
    info = {clip.source: Info(n, FPS, 8, 8) for clip, n in zip(clips, all_frames, strict=True)}
    test = SourceClip("test", "t", Path("t"), "hall")
    return [*clips, test], info | {test.source: Info(9, FPS, 8, 8)}


def spans(clips: list[SourceClip], info: dict[Path, Info]) -> dict[Path, list[tuple[int, int]]]:
    out: dict[Path, list[tuple[int, int]]] = {}
    for clip in clips:
        out.setdefault(clip.source, []).append(clip.span(info[clip.source].frames))
    return {source: sorted(parts) for source, parts in out.items()}


LENGTHS = st.dictionaries(
    st.sampled_from(["hall", "yard", "gate"]), st.lists(st.integers(700, 900), min_size=1, max_size=9)
)


@given(LENGTHS, st.integers(2, 16))
def test_each_frame_is_in_one_fold_but_for_the_guards_and_folds_are_even(lengths, folds):
    clips, info = footage(lengths)
    assigned = assign_folds(clips, folds, info, lambda line: None)
    assert [clip for clip in assigned if clip.split == "test"] == clips[-1:]
    train = [clip for clip in assigned if clip.split == "train"]
    assert len({clip.id for clip in assigned}) == len(assigned)
    for camera, frames in lengths.items():
        counts = Counter(clip.fold for clip in train if clip.camera == camera)
        assert set(counts) == set(range(folds))  # no model is without a camera, and none is validated without
        assert max(counts.values()) - min(counts.values()) <= 1
        if len(frames) >= folds:
            assert {clip.part for clip in train if clip.camera == camera} == {(0.0, 1.0)}
    totals = Counter(clip.fold for clip in train)
    assert not totals or max(totals.values()) - min(totals.values()) <= 1
    of_sources = spans(train, info)
    assert set(of_sources) == {clip.source for clip in clips[:-1]}
    for source, parts in of_sources.items():
        assert (parts[0][0], parts[-1][1]) == (0, info[source].frames)
        assert all(later[0] - earlier[1] == GUARD * FPS for earlier, later in pairwise(parts))
        lengths_of_parts = [end - first for first, end in parts]
        assert min(lengths_of_parts) >= GUARD * FPS
        assert max(lengths_of_parts) - min(lengths_of_parts) <= 1


@given(st.permutations(range(7)))
def test_the_order_in_which_clips_are_listed_does_not_matter(order):
    clips, info = footage({"hall": [100] * 7})
    fold_of = {clip.id: clip.fold for clip in assign_folds(clips, 3, info, print)}
    again = assign_folds([clips[i] for i in order], 3, info, print)
    assert {clip.id: clip.fold for clip in again} == {k: v for k, v in fold_of.items() if k != "test/t"}


def test_only_the_longest_clips_are_cut_where_there_are_fewer_clips_than_folds():
    clips, info = footage({"hall": [30, 400, 50]})
    lines: list[str] = []
    assigned = assign_folds(clips, 4, info, lines.append)
    assert {clip.id: clip.span(info[clip.source].frames) for clip in assigned if clip.split == "train"} == {
        "train/hall_0": (0, 30),
        "train/hall_1_1of2": (0, 190),
        "train/hall_1_2of2": (210, 400),
        "train/hall_2": (0, 50),
    }
    assert lines == [
        "camera 'hall' has 3 clips, fewer than data.folds = 4: 4 stretches are made of them, 2 s apart"
    ]


@pytest.mark.parametrize(("length", "most"), [(10, 1), (60, 2), (139, 3)])
def test_a_single_short_clip_is_refused_with_the_number_of_folds_that_it_is_long_enough_for(length, most):
    """Four stretches of 2 s with 2 s between them take 14 s."""
    clips, info = footage({"hall": [900] * 4, "yard": [length]})
    with pytest.raises(
        UserError, match=rf"camera 'yard' has 1 clip .* too short .* lower data\.folds to {most},"
    ):
        assign_folds(clips, 4, info, print)
    assert most == 1 or len(assign_folds(clips, most, info, print)) == 4 + most + 1
    clips, info = footage({"hall": [900] * 4, "yard": [140]})
    assert len(assign_folds(clips, 4, info, print)) == 4 + 4 + 1


def test_the_used_frames_of_a_clip_are_cut():
    clip = SourceClip("train", "a", Path("a"), first=100, end=300)
    assigned = assign_folds([clip], 2, {clip.source: Info(1000, FPS, 8, 8)}, print)
    assert [part.span(1000) for part in assigned] == [(100, 190), (210, 300)]
