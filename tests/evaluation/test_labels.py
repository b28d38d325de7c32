"""Labels are matched with scores by source frame; also end to end from footage."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.evaluation.reports import (
    CLIPS,
    FALL,
    INTERVALS,
    RECONSTRUCTION,
    figures,
    read,
    score,
    write_errors,
    write_times,
)
from vad import UserError
from vad.detection.foreground_params import ForegroundParams
from vad.evaluation.scored_clip import ScoredClip
from vad.flow.compute import compute_flow
from vad.flow.none import NoFlow
from vad.footage import survey
from vad.footage.extract import ExtractParams, extract
from vad.layouts.ucsd import Ucsd
from vad.regions.compute import compute_regions
from vad.regions.none import WholeFrame
from vad.resize.cut import cut
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.scores import read_scores, write_scores
from vad.store.arrays import open_array
from vad.store.body_heights import BodyHeight
from vad.store.intervals import Intervals
from vad.store.manifest import Clip
from vad.store.tables import read_table
from vad.windows.spec import ResizeParams, TensorSpec, WindowSpec


@pytest.fixture
def scores(frame_inputs, tmp_path) -> Path:
    """Folder of the scores of whole frames."""
    score(frame_inputs, tmp_path / "scores", CLIPS, RECONSTRUCTION)
    return tmp_path / "scores"


def test_labels_are_matched_with_frames_by_source_frame(frame_inputs, scores):
    late = read(frame_inputs, scores)[1]
    assert len(late.scores) == 120
    assert late.source_frames[late.anomalous].tolist() == [110, 112, 114, 116, 118]


@pytest.mark.parametrize("shift", [-1, 1])
def test_labels_that_are_a_frame_off_lower_the_figures(frame_inputs, scores, shift):
    moved = {clip: [(a + shift, b + shift) for a, b in spans] for clip, spans in INTERVALS.items()}
    right, off = (figures(read(frame_inputs, scores, labels=labels)) for labels in (INTERVALS, moved))
    for key in ("auc_micro", "average_precision", "f1"):
        assert off["frame"][key] < right["frame"][key], key


@pytest.mark.parametrize("frames", [99, 101])
def test_errors_of_another_number_of_frames_are_refused(tmp_path, frame_inputs, frames):
    write_times(tmp_path / "frames/test/fall", np.arange(frames))
    (tmp_path / "errors").symlink_to(frame_inputs / "errors")
    with pytest.raises(UserError, match=rf"errors of 100 frames, but .*{frames}\b.*; run `dvc repro`"):
        score(tmp_path, tmp_path / "scores", CLIPS[:1], RECONSTRUCTION)


@pytest.mark.parametrize("column", ["regions", "scores"])
def test_scores_of_other_errors_are_refused(frame_inputs, scores, column):
    stored = read_scores(scores / FALL)
    names = ["regions"]
    if column == "scores":
        names = ["scores", "unsmoothed", "seconds", "source_frames"]
        stored = replace(stored, branches={}, errors={})
    write_scores(scores / FALL, replace(stored, **{name: getattr(stored, name)[:-1] for name in names}))
    with pytest.raises(
        UserError, match=rf"'{FALL}': scores of \d+ frames and \d+ regions, but errors of 100 "
    ):
        read(frame_inputs, scores, CLIPS[:1])


def published(folder: Path, ranges: str) -> tuple[list[Clip], dict[str, Intervals]]:
    """A test clip in the layout of UCSD, whose pictures 4 to 7 and 10 of 12 (counted from 1) are bright."""
    bright = {"Test/Test001": (4, 5, 6, 7, 10), "Train/Train001": (), "Train/Train002": ()}
    for name, numbers in bright.items():
        (folder / "root" / name).mkdir(parents=True)
        for number in range(1, 13):
            picture = np.full((8, 8), 200 if number in numbers else 20, np.uint8)
            path = folder / f"root/{name}/{number:03}.tif"
            path.write_bytes(cv2.imencode(".tif", picture)[1].tobytes())
    (folder / "root/Test/UCSDped2.m").write_text(f"TestVideoFile{{end+1}}.gt_frame = [{ranges}];\n")
    result = survey.survey(
        Ucsd(Ucsd.Params()).read(folder / "root"),
        folder / "root",
        folder / "masks",
        folder / "memory.json",
        val_fraction=0.5,
        on_error="fail",
        allow_anomalous_train=False,
        workers=1,
        log=lambda line: None,
    )
    return [clip for clip in result.clips if clip.split == "test"], result.labels


def score_by_brightness(folder: Path, ranges: str, stride: int, position: str) -> ScoredClip:
    """Through extraction, windows and scores; the error of a window is the brightness of its frame."""
    (clip,), labels = published(folder, ranges)
    frames, regions, flow, tensors = (
        folder / part / clip.clip for part in ("frames", "regions", "flow", "tensors")
    )
    extract(frames, folder / "root" / clip.source, clip.first, clip.end, ExtractParams())
    compute_flow(flow, frames, NoFlow(NoFlow.Params()), threads=1)
    compute_regions(regions, frames, flow, WholeFrame(WholeFrame.Params(), ForegroundParams()), threads=1)
    resize = ResizeParams(channels=["picture"], height=8, width=8, stride=stride)
    window = WindowSpec(frames=3, step=2, position=position)
    cut(tensors, frames, regions, flow, TensorSpec.of(resize, window), BodyHeight.default(8), threads=1)
    planes, table = open_array(tensors)[0], read_table(tensors)
    shown = planes[table["plane_1" if position == "middle" else "plane_2"]]
    table = table.assign(x0=0, y0=0, x1=8, y1=8, error_reconstruction=shown.mean((1, 2, 3)) / 100)
    write_errors(folder / "errors" / clip.clip, ClipErrors(clip.clip, 12, stride, (8, 8), table, 10.0))
    score(folder, folder / "scores", [clip], RECONSTRUCTION)
    return read(folder, folder / "scores", [clip], labels)[0]


@pytest.mark.parametrize("position", ["middle", "last"])
@pytest.mark.parametrize(
    ("stride", "alarmed"),
    [
        (1, [3, 4, 5, 6, 9]),
        (2, [4, 5, 6, 7]),  # windows at 0, 2, …; of two as near the earlier counts: 5 like 4, 9 like 8
        (3, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),  # windows at 0, 3, 6, 9
    ],
)
def test_ground_truth_counted_from_1_is_matched_with_scores(tmp_path, stride, position, alarmed):
    clip = score_by_brightness(tmp_path, "4:7, 10", stride, position)
    assert np.flatnonzero(clip.anomalous).tolist() == [3, 4, 5, 6, 9]
    assert np.flatnonzero(clip.scores > RECONSTRUCTION.threshold).tolist() == alarmed
    frame = figures([clip])["frame"]
    hits = len({3, 4, 5, 6, 9} & set(alarmed))
    assert (frame["recall"], frame["precision"]) == (hits / 5, hits / len(alarmed))
    assert (frame["auc_micro"] == 1) == (stride == 1)


@pytest.mark.parametrize("ranges", ["3:6, 9", "5:8, 11", "4:6, 10", "4:8, 10", "4:7, 9"])
def test_ground_truth_that_is_a_frame_off_lowers_the_figures_of_a_perfect_scorer(tmp_path, ranges):
    frame = figures([score_by_brightness(tmp_path, ranges, 1, "middle")])["frame"]
    for scorer in (frame, frame["minmax_per_clip"]):
        assert scorer["auc_micro"] < 1
    assert frame["f1"] < 1
    assert frame["eer"] > 0
