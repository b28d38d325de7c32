"""Scores and events of a clip: computed by the calibration, written and read back."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.scoring.errors import calibrated, params
from vad import UserError
from vad.branches.error_files import ErrorWriter
from vad.scoring import event_tables, events
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors, read_clip
from vad.scoring.items import Event
from vad.scoring.scorer import LEARNED
from vad.scoring.scores import (
    ClipScores,
    event_table,
    read_scores,
    score_clip,
    write_scores,
)
from vad.store import cards, tables

FRAMES, FPS = 60, 10.0
SMOOTH = {"median": 0.2, "gaussian": 0.1}
CHOSEN = [  # parameters of the calibration
    {},
    {"smooth": SMOOTH, "aggregate": "cell", "error_sigma": 0.1},
    {"smooth": SMOOTH, "lookahead": 0.2, "fuse": "max", "aggregate": "track", "error_sigma": 0.1},
    {"branches": ["look", "speed"], "grid": [1, 2]},
    {"branches": ["look", "move"], "per_camera": True},
]


def write_frames(stem: Path, frames: int) -> None:
    """The table of a clip that starts at 4 s and keeps every fifth frame of the footage."""
    n = np.arange(frames, dtype=np.int32)
    tables.write_table(stem, pd.DataFrame({"source_frame": 100 + 5 * n, "seconds": 4 + n / FPS}))


def write_clip(folder: Path, clip: str, seed: int, frames: int = FRAMES, scale: float = 1.0) -> None:
    """Errors and frames of a clip, with two regions in most frames; `speed` has maps and does not learn."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, frames, 2 * frames)).astype(np.int32)
    x0, y0 = rng.integers(0, 8, (2, len(at))).astype(np.int32)
    windows = pd.DataFrame({"frame": at, "region": np.arange(len(at), dtype=np.int32)})
    windows = windows.assign(track=rng.integers(-1, 3, len(at)).astype(np.int32))
    windows = windows.assign(x0=x0, y0=y0, x1=x0 + 4, y1=y0 + 4)
    card = {"frames": frames, "stride": 1, "frame": [12, 16], "fps": FPS, "cell": 4, "lookahead": 0}
    with ErrorWriter(folder / "errors" / clip, windows, card) as out:
        for branch, times in (("look", 1), ("move", 100)):
            out.add_column(branch, scale * times * rng.random(len(at)))
        out.declare("speed", learned=False)
        with out.add_map("speed") as maps:
            for values in scale * rng.random((frames, 3, 4)):
                maps.append(values.astype(np.float16))
    write_frames(folder / "frames" / clip, frames)


def calibration_for(folder: Path, **changed) -> Calibration:
    """A calibration fitted to two clips of the cameras `hall` and `yard`."""
    normal = []
    for seed, camera in ((1, "hall"), (2, "yard")):
        write_clip(folder, f"val/{camera}", seed)
        normal.append(read_clip(folder / f"errors/val/{camera}", f"val/{camera}", camera))
    return calibrated(*normal, **{"threshold": {"percentile": 70.0}} | changed)


def score(folder: Path, calibration: Calibration, clip: str = "test/a", camera: str = "hall") -> ClipScores:
    stem = folder / "scores" / clip
    score_clip(stem, folder / "errors" / clip, folder / "frames" / clip, clip, camera, calibration, threads=1)
    return read_scores(stem)


def errors_of(folder: Path, clip: str = "test/a", camera: str = "hall") -> ClipErrors:
    return read_clip(folder / "errors" / clip, clip, camera)


@pytest.mark.parametrize("changed", CHOSEN)
@pytest.mark.parametrize("camera", ["hall", "yard", "garden"])
def test_scores_are_those_of_the_calibration(tmp_path, changed, camera):
    calibration = calibration_for(tmp_path, **changed)
    write_clip(tmp_path, "test/a", 3, scale=1.2)
    scores, clip = score(tmp_path, calibration, camera=camera), errors_of(tmp_path, camera=camera)
    same = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    same(scores.scores, calibration.frame_scores(clip))
    of_regions = [calibration.region_scores(item, clip.size, camera) for item in clip.each_frame()]
    assert scores.regions.tolist() == np.concatenate(of_regions).tolist()
    errors = calibration.frame_errors(clip)
    assert {b: v.tolist() for b, v in scores.errors.items()} == {b: v.tolist() for b, v in errors.items()}
    same(scores.unsmoothed, calibration.fuse(errors, camera))
    for branch in clip.branches:
        same(scores.branches[branch], calibration.frame_scores(clip, branches=[branch]))
    fused = {branch: scores.branches[branch] for branch in calibration.branches}
    chosen = calibration.params.events
    assert scores.events == events.find(scores.scores, calibration.threshold, FPS, chosen, fused)
    assert len(scores.events) > 0
    assert scores.fps == FPS
    assert scores.source_frames.tolist() == list(range(100, 400, 5))
    np.testing.assert_array_equal(scores.seconds, 4 + np.arange(FRAMES) / FPS)


@pytest.mark.parametrize(
    ("branches", "learned"),
    [
        ("all", ["look", "move"]),
        (["look", "move"], None),  # all branches learned, so it would equal the headline
        (["look", "speed"], None),  # a single branch learned, so it would equal that branch
        (["move", "look", "speed"], ["move", "look"]),
    ],
)
def test_branches_that_learned_are_scored_together(tmp_path, branches, learned):
    calibration = calibration_for(tmp_path, branches=branches)
    write_clip(tmp_path, "test/a", 3)
    scores = score(tmp_path, calibration)
    assert set(scores.branches) == {"look", "move", "speed"} | ({LEARNED} if learned else set())
    if learned:
        together = calibration.frame_scores(errors_of(tmp_path), branches=learned)
        np.testing.assert_allclose(scores.branches[LEARNED], together, rtol=1e-12, atol=1e-12)


def test_shares_are_of_the_fused_branches_and_sum_to_1(tmp_path):
    calibration = calibration_for(tmp_path)
    for seed in range(5):
        write_clip(tmp_path, "test/a", 10 + seed, scale=1.3)
        scores = score(tmp_path, calibration)
        for event in scores.events:
            assert sum(event.shares.values()) == pytest.approx(1)
            assert set(event.shares) <= set(calibration.branches)
            assert list(event.shares.values()) == sorted(event.shares.values(), reverse=True)
            positive = {b: scores.branches[b][event.peak] for b in event.shares}
            assert event.shares == pytest.approx({b: v / sum(positive.values()) for b, v in positive.items()})
    only = calibration_for(tmp_path, branches=["speed"])
    assert {tuple(event.shares.items()) for event in score(tmp_path, only).events} == {(("speed", 1.0),)}


def clip_scores(**changed) -> ClipScores:
    """Numbers that need all digits."""
    rng = np.random.default_rng(0)
    n = 7
    scores = ClipScores(
        scores=rng.normal(size=n) / 3,
        unsmoothed=rng.normal(size=n) * 1e-9,
        branches={"look": rng.normal(size=n), "a_b": rng.normal(size=n), LEARNED: rng.normal(size=n)},
        errors={"look": rng.random(n), "a_b": rng.random(n)},
        regions=rng.normal(size=11),
        seconds=np.arange(n) / 29.97,
        source_frames=np.arange(n, dtype=np.int32) * 3,
        fps=30000 / 1001,
        events=[
            Event(0, 2, 1, 1 / 3, {"move": 2 / 3, "look": 1 / 3}),
            Event(4, 7, 6, 1e-17),
        ],
    )
    return replace(scores, **changed)


def same(a: ClipScores, b: ClipScores) -> bool:
    """Whether all values and types are equal, to the last digit."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.dtype.name, value.tolist()
        if isinstance(value, dict):
            return [(key, plain(entry)) for key, entry in value.items()]
        return [plain(entry) for entry in value] if isinstance(value, list) else value

    return all(plain(getattr(a, field.name)) == plain(getattr(b, field.name)) for field in fields(ClipScores))


@pytest.mark.parametrize(
    "changed", [{}, {"events": []}, {"regions": np.zeros(0)}, {"branches": {}, "errors": {}, "events": []}]
)
def test_scores_are_read_exactly_as_they_were_written(tmp_path, changed):
    scores = clip_scores(**changed)
    for name in ("a", "b"):
        write_scores(tmp_path / name, scores)
    back = read_scores(tmp_path / "a")
    assert same(back, scores)
    assert [list(event.shares) for event in back.events] == [list(e.shares) for e in scores.events]
    for file in (".parquet", ".regions.parquet", ".json"):
        assert (tmp_path / f"a{file}").read_bytes() == (tmp_path / f"b{file}").read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"scores": np.arange(7.0)},
        {"regions": np.arange(11.0)},
        {"events": [Event(0, 2, 1, 0.5)]},
        {"events": [Event(0, 2, 1, 1 / 3, {"move": 2 / 3, "look": 0.25})]},
    ],
)
def test_the_hash_is_of_scores_regions_and_events(tmp_path, changed):
    write_scores(tmp_path / "a", clip_scores())
    write_scores(tmp_path / "b", clip_scores(**changed))
    assert cards.read_card(tmp_path / "a")["hash"] != cards.read_card(tmp_path / "b")["hash"]


def test_all_events_stand_in_a_table_in_source_frames():
    both = clip_scores()
    none, other = clip_scores(events=[]), clip_scores(events=[Event(3, 5, 4, 2.5, {"look": 1.0})])
    table = event_table({"test/hall_fall": both, "test/hall_walk": none, "test/a/b": other})
    assert table.columns.tolist() == event_tables.COLUMNS
    assert table["clip"].tolist() == ["hall_fall", "hall_fall", "a/b"]
    assert table[["start", "end", "peak"]].to_numpy().tolist() == [[0, 4, 3], [12, 19, 18], [9, 13, 12]]
    assert table["start_seconds"].tolist() == pytest.approx([0, 4 / 29.97, 3 / 29.97])
    assert table["branches"].tolist() == ["move 67%, look 33%", "", "look 100%"]
    for clips in ({}, {"test/a": none}):
        empty = event_table(clips)
        assert (len(empty), empty.columns.tolist()) == (0, event_tables.COLUMNS)


def test_scoring_reads_only_errors_and_frames_of_a_clip(tmp_path):
    """Neither manifest, labels nor masks, so unlabelled footage has scores and events."""
    calibration = calibration_for(tmp_path / "normal")
    write_clip(tmp_path / "new", "test/a", 3, scale=1.3)
    scores = score(tmp_path / "new", calibration)
    assert len(scores.events) > 0
    written = sorted(file.name for file in (tmp_path / "new/scores/test").iterdir())
    assert written == ["a.json", "a.parquet", "a.regions.parquet"]


def test_a_clip_without_regions_has_scores(tmp_path):
    calibration = calibration_for(tmp_path, aggregate="region")
    card = {"frames": 9, "stride": 1, "frame": [12, 16], "fps": FPS, "cell": 4, "lookahead": 0}
    columns = ["frame", "region", "track", "x0", "y0", "x1", "y1"]
    with ErrorWriter(tmp_path / "errors/test/a", pd.DataFrame(columns=columns, dtype=np.int32), card) as out:
        for branch in ("look", "move"):
            out.add_column(branch, np.zeros(0))
        with out.add_map("speed") as maps:
            for _ in range(9):
                maps.append(np.zeros((3, 4), np.float16))
    write_frames(tmp_path / "frames/test/a", 9)
    scores = score(tmp_path, calibration)
    assert scores.regions.shape == (0,)
    assert len(set(scores.scores.tolist())) == 1
    assert scores.events == []


@pytest.mark.parametrize("extracted", [FRAMES - 1, FRAMES + 1])
def test_errors_and_frames_of_different_number_are_refused_in_a_line(tmp_path, extracted):
    calibration = calibration_for(tmp_path)
    write_clip(tmp_path, "test/a", 3)
    write_frames(tmp_path / "frames/test/a", extracted)
    with pytest.raises(UserError) as caught:
        score(tmp_path, calibration)
    message = str(caught.value)
    assert f"errors/test/a has errors of {FRAMES} frames, but " in message
    assert f"frames/test/a has {extracted}; run `dvc repro`" in message
    assert "\n" not in message
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("file", [".parquet", ".regions.parquet", ".json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"fps": 1, "events": [{"start": 1}]}'])
def test_broken_scores_are_refused(tmp_path, file, content):
    write_scores(tmp_path / "a", clip_scores())
    path = tmp_path / f"a{file}"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a.*dvc repro") as caught:
        read_scores(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_a_table_with_other_columns_is_refused(tmp_path):
    write_scores(tmp_path / "a", clip_scores())
    tables.write_table(tmp_path / "a", pd.DataFrame({"frame": [1, 2]}))
    with pytest.raises(UserError, match=r"a: not the scores of a clip .*'score'.*dvc repro score"):
        read_scores(tmp_path / "a")


def test_parameters_of_the_calibration_are_kept(tmp_path):
    """A calibration read from its file scores like the fitted one."""
    fitted = calibration_for(tmp_path, branches=["look", "move", "speed"], smooth=SMOOTH)
    fitted.save(tmp_path / "calibration.json")
    write_clip(tmp_path, "test/a", 3)
    read = Calibration.load(tmp_path / "calibration.json")
    assert read.params == params(
        branches=["look", "move", "speed"], smooth=SMOOTH, threshold={"percentile": 70.0}
    )
    assert read == fitted
    assert same(score(tmp_path, read), score(tmp_path, fitted))
