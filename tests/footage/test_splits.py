"""Clips as layouts list them: ids, and which of them are held out for validation."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.footage import splits
from vad.footage.source_clip import SourceClip

names = st.text("abcdefgh0123456789äé_", min_size=1, max_size=8)
cameras = st.sampled_from(["hall", "yard", "gate"])
fractions = st.floats(0.01, 0.9)


@st.composite
def training_sets(draw: st.DrawFn) -> list[SourceClip]:
    """Training clips of up to three cameras, plus a test clip per camera."""
    drawn = draw(st.lists(st.tuples(names, cameras), min_size=1, max_size=25, unique_by=lambda x: x[0]))
    clips = [SourceClip("train", name, Path(name), camera) for name, camera in drawn]
    return clips + [SourceClip("test", f"t {camera}", Path(camera), camera) for _, camera in drawn[:2]]


def splits_of(clips: list[SourceClip]) -> dict[str, set[str]]:
    """Name -> the splits in which it occurs."""
    out: dict[str, set[str]] = {}
    for clip in clips:
        out.setdefault(clip.name, set()).add(clip.split)
    return out


def by_hash(clips: list[SourceClip], camera: str, fraction: float) -> tuple[int, int]:
    """(number of clips of a camera whose hash is below the fraction, number of its clips)."""
    of_camera = [clip for clip in clips if clip.split == "train" and clip.camera == camera]
    return sum(splits.rank(clip) < fraction for clip in of_camera), len(of_camera)


@given(training_sets(), fractions)
def test_every_camera_has_both_splits(clips, fraction):
    cut = splits.cut_validation(clips, fraction)
    for camera in {clip.camera for clip in clips if clip.split == "train"}:
        assert {"train", "val"} <= {clip.split for clip in cut if clip.camera == camera}


@given(training_sets(), fractions)
def test_each_clip_is_held_out_as_a_whole_and_none_is_lost(clips, fraction):
    cut = splits.cut_validation(clips, fraction)
    assert set(splits_of(cut)) == set(splits_of(clips))
    counts = {c: by_hash(clips, c, fraction)[1] for c in {clip.camera for clip in clips}}
    for clip in cut:
        if clip.split == "test":
            assert clip in clips
        elif counts[clip.camera] > 1:  # whole clips, each in one split
            assert clip.part == (0.0, 1.0)
            assert len(splits_of(cut)[clip.name]) == 1


@given(training_sets(), names, cameras, fractions)
def test_a_new_clip_moves_no_other(clips, name, camera, fraction):
    if name in splits_of(clips):
        return
    before = splits.cut_validation(clips, fraction)
    after = splits.cut_validation([*clips, SourceClip("train", name, Path(name), camera)], fraction)
    moved = {n for n, s in splits_of(before).items() if splits_of(after)[n] != s}
    # the exceptions that the docstring states: a camera that was single, or where all or none would go
    n, total = by_hash(clips, camera, fraction)
    if total == 1 or n in (0, total):
        assert len(moved) <= 1
        assert all(clip.camera == camera for clip in clips if clip.name in moved)
    else:
        assert not moved


@given(training_sets(), fractions)
def test_order_of_clips_does_not_matter(clips, fraction):
    assert splits_of(splits.cut_validation(clips, fraction)) == splits_of(
        splits.cut_validation(clips[::-1], fraction)
    )


@pytest.mark.parametrize("frames", [2, 3, 10, 101, 2550])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_of_a_single_clip_the_tail_is_held_out(frames, fraction):
    train, val = splits.cut_validation(
        [SourceClip("train", "a", Path("a"), first=5, end=5 + frames)], fraction
    )
    (first, middle), (again, end) = train.span(10_000), val.span(10_000)
    assert (train.id, val.id) == ("train/a", "val/a")
    assert (first, middle, end) == (5, again, 5 + frames)
    assert abs((end - again) - fraction * frames) <= 0.5


def test_both_encodings_of_accents_give_the_same_name():
    composed, decomposed = (SourceClip("train", n, Path("x")) for n in ("caf\u00e9", "cafe\u0301"))
    assert composed.id == decomposed.id
    assert splits.rank(composed) == splits.rank(decomposed)


def test_nothing_is_held_out_if_there_are_val_clips_or_the_fraction_is_0():
    clips = [SourceClip("train", str(i), Path(str(i))) for i in range(5)]
    assert splits.cut_validation(clips, 0) == clips
    clips.append(SourceClip("val", "v", Path("v")))
    assert splits.cut_validation(clips, 0.5) == clips


def test_ids_are_safe_and_unique():
    assert SourceClip("test", "hall/Fall (2) ä.v1", Path("x")).id == "test/hall_Fall_2_ä_v1"
    with pytest.raises(UserError, match=r"both be called 'test/A_b': \w+ and \w+; rename"):
        splits.refuse_duplicates(
            [SourceClip("test", "a b", Path("one")), SourceClip("test", "A b", Path("two"))]
        )
    splits.refuse_duplicates([SourceClip("test", "a", Path("one")), SourceClip("train", "a", Path("one"))])
