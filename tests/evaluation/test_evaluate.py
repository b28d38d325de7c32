"""What a run leaves on paper: figures, tables, plot data, pictures, the summary; and whose label is whose."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad import UserError
from vad.evaluation import evaluate, localisation, plots, summary
from vad.evaluation.frame_metrics import EvaluateParams
from vad.evaluation.identity import Identity
from vad.evaluation.scored_clip import ScoredClip
from vad.flow import none as no_flow
from vad.footage import survey
from vad.footage.extract import ExtractParams, extract
from vad.footage.layouts.ucsd import Ucsd
from vad.footage.masks import convert
from vad.regions import none as no_regions
from vad.resize.cut import cut
from vad.scoring import pooling
from vad.scoring.calibration import CalibrateParams, Calibration, calibrate
from vad.scoring.pooling import ClipErrors
from vad.store import arrays, cards, intervals, tables
from vad.store.manifest import Clip
from vad.windows.spec import WindowParams

RNG = np.random.default_rng(0)
PLOTS = {"histogram_bins": 10, "plot_points": 50}
PARAMS = EvaluateParams(identity="who", seed=0, resamples=200, max_delay=1.0, mask_percentile=90.0, **PLOTS)
LATER = {
    "threshold": {"policy": "percentile", "percentile": 90.0, "sigma": 3.0, "value": 1.0, "per_hour": 60.0},
    "events": {"merge_gap": 0.5, "min_duration": 0.0},
}
ERRORS = {"branches": "all", "per": "region", "sigma": 0.0, "pool": "max", "top_k": 1}
CALIBRATE = ERRORS | LATER | {"scale": "quantile", "per_camera": False, "grid": [], "fuse": "sum"}
NOBODY = Identity({}, {})
INTERVALS = {"test/fall": [(20, 40), (60, 70)], "test/late": [(110, 120)]}
FALL = "test/fall"


def calibration(*branches: str, median: int = 1) -> Calibration:
    """An error of 1 has score 0, one of 2 has 1; alarms are above 0.75."""
    smooth = {"median": median, "gaussian": 0.0, "causal": False}
    usual = {branch: {"centre": 1.0, "spread": 1.0} for branch in branches}
    params = CalibrateParams(**CALIBRATE, smooth=smooth)
    return Calibration(params, {"": usual}, {"": usual}, usual, {}, 0.75, 0.8, 0.75, frames=500, hours=1.0)


ONE = calibration("reconstruction")
SEVERAL = calibration("appearance", "flow", "speed", median=3)


def levelled(z: Any) -> np.ndarray:
    """Below the usual scores hardly fall."""
    return np.where(np.asarray(z) > 0, z, (np.exp(z) - 1) / 100)


def manifest_clip(name: str, frames: int, labelled: bool, camera: str, subject: str) -> Clip:
    whole = {"split": "test", "source": f"{name}.mp4", "first": 0, "end": frames, "frames": frames}
    size = {"width": 8, "height": 8, "hash": "h", "fps": 10.0}
    return Clip(clip=name, camera=camera, subject=subject, labelled=labelled, **whole, **size)


CLIPS = [
    manifest_clip("test/fall", 100, True, "01", "007"),
    manifest_clip("test/late", 240, True, "01", "ä|b"),  # extracted at half its rate
    manifest_clip("test/walk", 30, True, "0|2", "007"),
    manifest_clip("test/new|er", 40, False, "0|2", ""),
]


def write_inputs(folder: Path, boxes: bool = False) -> Path:
    """What score and extract would have left: whole frames, or boxes with two branches beside speed.

    Of boxes there are three tracks and some of none in `fall`, in `walk` nobody. `fall` has masks.
    """
    rng = np.random.default_rng(1)
    for clip in CLIPS:
        step = 2 if clip.clip == "test/late" else 1
        source = np.arange(0, clip.frames, step)
        anomalous = intervals.frame_labels(INTERVALS.get(clip.clip, []), source)
        times = pd.DataFrame({"source_frame": source, "seconds": source / 10})
        tables.write_table(folder / "frames" / clip.clip, times)
        pictures = rng.integers(0, 255, (len(source), 8, 8), np.uint8)
        arrays.write_array(folder / "frames" / clip.clip, pictures, fps=10 / step)
        stem = folder / "errors" / clip.clip
        card = {"frames": len(source), "stride": 1, "frame": [8, 8], "fps": 10 / step, "cell": 4, "maps": []}
        rows = [(t, 0) for t in range(len(source))]
        if boxes:
            card |= {"stride": 2, "maps": ["speed"]}
            tracks = {"test/fall": [0, 1, 7, -1], "test/walk": []}.get(clip.clip, [4])
            rows = [(t, n) for t in range(0, len(source), 2) for n in tracks if rng.random() < 0.6]
            maps = rng.gamma(4, 0.25, (len(source), 2, 2)).astype(np.float16)
            arrays.write_array(Path(f"{stem}.map_speed"), maps)
        table = pd.DataFrame(rows, columns=["frame", "track"]).astype(np.int32)
        table = table.assign(region=0, x0=int(boxes), y0=0, x1=8, y1=8)
        for branch in ("appearance", "flow") if boxes else ("reconstruction",):
            errors = rng.gamma(4, 0.25, len(rows)) + anomalous[table["frame"]]
            table[f"error_{branch}"] = errors.astype(np.float32)
        tables.write_table(stem, table)
        cards.write_json(Path(f"{stem}.json"), card)
    truth = np.zeros((100, 8, 8), bool)
    truth[intervals.frame_labels(INTERVALS[FALL], np.arange(100)), 2:6, 2:6] = True
    np.save(folder / "truth.npy", truth)
    convert(folder / "masks" / FALL, folder / "truth.npy", 100, 8, 8)
    return folder


def scored(
    folder: Path,
    chosen: list[Clip] = CLIPS,
    labels: dict[str, intervals.Intervals] = INTERVALS,
    by: Calibration = ONE,
    who: Identity = NOBODY,
) -> list[ScoredClip]:
    errors = pooling.read_errors(folder / "errors", {clip.clip: clip.camera for clip in chosen})
    return evaluate.score_clips(chosen, labels, folder / "frames", errors, by, who)


class Paper:
    """Everything that evaluate and summarize write about some clips."""

    def __init__(self, inputs: Path, folder: Path, by: Calibration = ONE, **which: Any):
        self.clips = scored(inputs, by=by, **which)
        self.result = evaluate.evaluate(self.clips, by, PARAMS)
        self.result |= localisation.locate(self.clips, by, inputs / "masks", PARAMS)
        self.folder = folder
        evaluate.write(folder, self.clips, by, PARAMS, self.result)
        localisation.draw(folder / "heatmaps", self.clips, by, inputs / "frames", inputs / "masks")
        stored = cards.read_json(folder / "metrics.json")  # as the next stage gets it
        self.metrics = summary.metrics(stored)
        self.markdown = summary.markdown(stored, folder, {"test/lost": "it is empty"})

    def csv(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name, dtype={"clip": str, "subject": str, "camera": str})

    def files(self) -> dict[str, bytes]:
        found = (p for p in self.folder.rglob("*") if p.is_file())
        return {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in found}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def paper(inputs, tmp_path_factory) -> Paper:
    return Paper(inputs, tmp_path_factory.mktemp("paper") / "evaluation")


WHO = Identity({"test/new|er": "eve"}, {"test/fall": {0: "ä|b", 7: "eve"}})


@pytest.fixture(scope="module")
def boxes(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("boxes"), boxes=True)


@pytest.fixture(scope="module")
def crops(boxes, tmp_path_factory) -> Paper:
    return Paper(boxes, tmp_path_factory.mktemp("crops") / "evaluation", SEVERAL, who=WHO)


TABLES = ["cameras.csv", "clips.csv", "events.csv", "frames.csv", "frames.txt", "subjects.csv"]
CHARTS = [f"plots/{name}.csv" for name in ("clip_auc", "curves", "histogram", "pr", "roc", "subject_auc")]
FILES = [*TABLES, *CHARTS, "curves.png", "metrics.json"]


def drawn(*names: str) -> list[str]:
    return [f"heatmaps/clip_{name}.png" for name in names]


def test_the_same_inputs_give_the_same_bytes_over_what_was_there(boxes, paper, crops, tmp_path):
    every = [*FILES, *drawn("fall", "late", "new|er", "walk")]
    assert sorted(paper.files()) == sorted(every)
    assert sorted(crops.files()) == sorted([*every, "tracks.csv"])
    (tmp_path / "plots").mkdir(parents=True)
    (tmp_path / "plots/curves.csv").write_text("of an earlier run")
    again = Paper(boxes, tmp_path, SEVERAL, who=WHO)
    assert (again.files(), again.markdown) == (crops.files(), crops.markdown)


# --- labels and frames


def test_labels_meet_frames_by_the_source_s_numbers(inputs):
    late = scored(inputs)[1]
    assert len(late.scores) == 120
    assert late.source_frames[late.anomalous].tolist() == [110, 112, 114, 116, 118]


@pytest.mark.parametrize("by", [-1, 1])
def test_labels_a_frame_off_are_noticed(inputs, by):
    moved = {clip: [(a + by, b + by) for a, b in own] for clip, own in INTERVALS.items()}
    right, off = (
        evaluate.evaluate(scored(inputs, labels=labels), ONE, PARAMS) for labels in (INTERVALS, moved)
    )
    for key in ("auc_micro", "average_precision", "f1"):
        assert off["frame"][key] < right["frame"][key], key


@pytest.mark.parametrize("frames", [99, 101])
def test_errors_of_another_number_of_frames_are_refused(tmp_path, inputs, frames):
    times = pd.DataFrame({"source_frame": np.arange(frames), "seconds": np.arange(frames) / 10})
    tables.write_table(tmp_path / "frames/test/fall", times)
    (tmp_path / "errors").symlink_to(inputs / "errors")
    with pytest.raises(
        UserError, match=f"'test/fall': errors of 100 frames, but {frames} were extracted; run"
    ):
        scored(tmp_path, CLIPS[:1])


def published(folder: Path, ranges: str) -> tuple[list[Clip], dict[str, intervals.Intervals]]:
    """A test clip laid out like UCSD's, bright in its pictures 4 to 7 and 10 of 12, as counted from 1."""
    bright = {"Test/Test001": (4, 5, 6, 7, 10), "Train/Train001": (), "Train/Train002": ()}
    for name, shown in bright.items():
        (folder / "root" / name).mkdir(parents=True)
        for number in range(1, 13):
            picture = np.full((8, 8), 200 if number in shown else 20, np.uint8)
            path = folder / f"root/{name}/{number:03}.tif"
            path.write_bytes(cv2.imencode(".tif", picture)[1].tobytes())
    (folder / "root/Test/UCSDped2.m").write_text(f"TestVideoFile{{end+1}}.gt_frame = [{ranges}];\n")
    found = survey.survey(
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
    return [clip for clip in found.clips if clip.split == "test"], found.labels


def score_by_brightness(folder: Path, ranges: str, stride: int, position: str) -> ScoredClip:
    """Through extraction and windows; a window's error is the brightness of its own frame."""
    (clip,), labels = published(folder, ranges)
    stems = [folder / part / clip.clip for part in ("frames", "regions", "flow", "tensors")]
    extract(stems[0], folder / "root" / clip.source, clip.first, clip.end, ExtractParams())
    no_flow.flow(stems[2], stems[0], no_flow.Params(), threads=1)
    no_regions.regions(stems[1], stems[0], stems[2], no_regions.Params(), None, threads=1)
    how = {"channels": ["picture"], "height": 8, "width": 8, "fit": "stretch", "window": 3, "step": 2}
    cut(stems[3], *stems[:3], WindowParams(**how, stride=stride, position=position), threads=1)
    planes, table = arrays.open_array(stems[3])[0], tables.read_table(stems[3])
    own = table["plane_1" if position == "middle" else "plane_2"]
    table = table.assign(x0=0, y0=0, x1=8, y1=8, error_reconstruction=planes[own].mean((1, 2, 3)) / 100)
    errors = ClipErrors(clip.clip, 12, stride, (8, 8), table, 10.0)
    return evaluate.score_clips([clip], labels, folder / "frames", [errors], ONE, NOBODY)[0]


@pytest.mark.parametrize("position", ["middle", "last"])
@pytest.mark.parametrize(
    ("stride", "alarmed"),
    [
        (1, [3, 4, 5, 6, 9]),
        (2, [4, 5, 6, 7]),  # windows at 0, 2, …; of two as near the earlier counts: 5 like 4, 9 like 8
        (3, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),  # windows at 0, 3, 6, 9
    ],
)
def test_ground_truth_counted_from_1_meets_scores_frame_by_frame(tmp_path, stride, position, alarmed):
    found = score_by_brightness(tmp_path, "4:7, 10", stride, position)
    assert np.flatnonzero(found.anomalous).tolist() == [3, 4, 5, 6, 9]
    assert np.flatnonzero(found.scores > ONE.threshold).tolist() == alarmed
    frame = evaluate.evaluate([found], ONE, PARAMS)["frame"]
    hits = len({3, 4, 5, 6, 9} & set(alarmed))
    assert (frame["recall"], frame["precision"]) == (hits / 5, hits / len(alarmed))
    assert (frame["auc_micro"] == 1) == (stride == 1)


@pytest.mark.parametrize("ranges", ["3:6, 9", "5:8, 11", "4:6, 10", "4:8, 10", "4:7, 9"])
def test_ground_truth_a_frame_off_costs_a_perfect_scorer(tmp_path, ranges):
    found = evaluate.evaluate([score_by_brightness(tmp_path, ranges, 1, "middle")], ONE, PARAMS)["frame"]
    for figures in (found, found["minmax_per_clip"], found["causal"]):
        assert figures["auc_micro"] < 1
    assert found["f1"] < 1
    assert found["eer"] > 0


# --- figures


def test_every_frame_is_there_once(inputs, paper):
    table = paper.csv("frames.csv")
    assert len(table) == 100 + 120 + 30 + 40
    assert not table.duplicated(["clip", "frame"]).any()
    for clip in paper.clips:
        own = table[table["clip"] == plots.name(clip)]
        assert own["frame"].tolist() == list(range(len(clip.scores)))
        errors = tables.read_table(inputs / "errors" / clip.clip)["error_reconstruction"].astype(float)
        np.testing.assert_allclose(own["score"], levelled(errors - 1), atol=1e-6)  # as calibrated above
        np.testing.assert_allclose(own["reconstruction_error"], errors, atol=1e-6)
        assert own["alarm"].tolist() == [int(e - 1 > 0.75) for e in errors]
        assert own["source_frame"].tolist() == clip.source_frames.tolist()
        if clip.anomalous is None:
            assert own["anomalous"].isna().all()
        else:
            assert own["anomalous"].tolist() == clip.anomalous.tolist()
    listed = (paper.folder / "frames.txt").read_text("utf-8")
    assert listed.count("  anomaly\n") == table["alarm"].sum()
    assert listed.count("Frame ") == len(table)


@pytest.mark.parametrize("which", ["paper", "crops"])
def test_figures_can_be_computed_anew_from_the_frames(which, request):
    """Everything in metrics.json follows from frames.csv, which people can open."""
    paper = request.getfixturevalue(which)
    table = paper.csv("frames.csv").dropna()
    frame = paper.result["frame"]
    y, s = table["anomalous"], table["score"]
    assert frame["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s), abs=1e-6)
    assert frame["average_precision"] == pytest.approx(sk.average_precision_score(y, s), abs=1e-6)
    for key, of in {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}.items():
        assert frame[key] == pytest.approx(of(y, table["alarm"]))
    assert frame["causal"]["auc_micro"] == pytest.approx(sk.roc_auc_score(y, table["causal_score"]), abs=1e-6)
    two = [table[table["clip"] == name] for name in ("fall", "late")]
    each = [sk.roc_auc_score(own["anomalous"], own["score"]) for own in two]
    assert frame["auc_macro"] == pytest.approx(np.mean(each), abs=1e-6)
    assert (frame["clips_in_macro"], frame["clips_with_one_class"]) == (2, 1)
    span = table.groupby("clip")["score"]
    scaled = (s - span.transform("min")) / (span.transform("max") - span.transform("min")).replace(0, 1)
    assert frame["minmax_per_clip"]["auc_micro"] == pytest.approx(sk.roc_auc_score(y, scaled), abs=1e-6)
    whole = paper.csv("frames.csv")
    assert paper.result["anomaly_rate"] == pytest.approx(whole["alarm"].mean())
    time = paper.result["baseline"]["time"]["auc_micro"]
    assert time == pytest.approx(sk.roc_auc_score(y, table["seconds"]))
    for branch, error in paper.result["reconstruction_error"].items():
        assert error["mean"] == pytest.approx(whole[f"{branch}_error"].mean(), rel=1e-6)
    auc = paper.csv("plots/clip_auc.csv")
    assert auc["clip"].tolist() == ["fall", "late"]
    np.testing.assert_allclose(auc["auc"], each, atol=1e-6)


def test_branches_are_calibrated_smoothed_and_judged_one_by_one(boxes, crops):
    """`learned` is all but speed together; speed alone is a scorer that learns nothing, too."""
    assert set(crops.result["branch"]) == {"appearance", "flow", "speed", "learned"}
    assert list(crops.result["baseline"]) == ["random", "time", "speed"]
    assert crops.result["baseline"]["speed"] == crops.result["branch"]["speed"]
    fall = crops.clips[0]
    alone = {b: levelled(fall.errors[b] - 1) for b in ("appearance", "flow", "speed")}
    alone["learned"] = alone["appearance"] + alone["flow"]
    maps = arrays.open_array(boxes / "errors/test/fall.map_speed")[0]
    np.testing.assert_allclose(fall.errors["speed"], maps.max((1, 2)))
    for branch, scores in alone.items():
        around = np.stack([np.r_[scores[:1], scores[:-1]], scores, np.r_[scores[1:], scores[-1:]]])
        np.testing.assert_allclose(fall.branches[branch], np.median(around, 0), atol=1e-9)
    total = alone["learned"] + alone["speed"]
    np.testing.assert_allclose(fall.unsmoothed, total, atol=1e-9)
    behind = [np.median([total[max(0, t - 2)], total[max(0, t - 1)], total[t]]) for t in range(100)]
    np.testing.assert_allclose(fall.causal, behind, atol=1e-9)


def test_calibration_s_threshold_is_the_one_that_alarms(inputs):
    """The same errors, calibrated by themselves: what lies above the percentile is alarmed."""
    found = pooling.read_errors(inputs / "errors", {"test/walk": "02"})
    own = calibrate(found, ONE.params)
    (walk,) = scored(inputs, CLIPS[2:3], by=own)
    assert evaluate.evaluate([walk], own, PARAMS)["anomaly_rate"] == pytest.approx(0.1)


def test_no_test_clips_are_refused():
    with pytest.raises(UserError, match=r"no test clips are left .*skipped\.csv"):
        evaluate.evaluate([], ONE, PARAMS)


def leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    return [x for k, v in value.items() for x in leaves(v, k)] if isinstance(value, dict) else [(key, value)]


@pytest.mark.parametrize(
    ("chosen", "labels", "why"),
    [
        (CLIPS[3:], INTERVALS, "no test clip is labelled"),
        (CLIPS[2:], INTERVALS, "all labelled frames are normal"),
        ([CLIPS[0], CLIPS[3]], {FALL: [(0, 100)]}, "all labelled frames are anomalous"),
    ],
)
def test_without_labels_of_both_classes_all_else_is_there(inputs, tmp_path, chosen, labels, why):
    """A figure that is undefined is absent, with the reason, and neither 0 nor NaN."""
    paper = Paper(inputs, tmp_path, chosen=chosen, labels=labels)
    names = [clip.clip.partition("/")[2] for clip in chosen]
    assert sorted(paper.files()) == sorted([*FILES, *drawn(*names)])
    assert paper.metrics["frame"]["absent"] == why
    found = leaves({key: value for key, value in paper.metrics.items() if key != "pixel"})
    assert not [key for key, _ in found if key.startswith(("auc", "average", "eer", "f1", "precision"))]
    assert not {"baseline", "gain", "interval", "branch"} & set(paper.metrics)
    alarmed = np.concatenate([clip.scores for clip in paper.clips]) > 0.75
    assert paper.metrics["anomaly_rate"] == pytest.approx(alarmed.mean(), rel=1e-5)
    assert len(paper.csv("events.csv")) > 0
    assert paper.csv("frames.csv")["alarm"].sum() == alarmed.sum() > 0
    assert f"No frame-level metrics: {why}." in paper.markdown
    assert "AUC" not in paper.markdown.partition("## Clips")[0].replace("Pixels: AUC", "")
    assert evaluate.headline(paper.result).startswith(f"no frame-level AUC: {why}; anomaly rate 0.")
    assert [row[0] for row in rows(paper.markdown, "## Clips")[2:]][-1] == "new¦er"


def test_what_single_clips_do_not_tell_is_left_out(inputs, tmp_path):
    """One clip anomalous throughout, one normal: a micro AUC, no macro one, no interval."""
    paper = Paper(inputs, tmp_path, chosen=[CLIPS[0], CLIPS[2]], labels={FALL: [(0, 100)]})
    stored = cards.read_json(tmp_path / "metrics.json")
    assert not [key for key, value in leaves(stored) if value is None]
    assert "auc_micro" in stored["frame"]
    assert "auc_macro" not in stored["frame"] | stored["baseline"]["time"]
    assert stored["frame"]["clips_in_macro"] == 0
    assert stored["interval"]["auc_macro"]["absent"] == "clips with both classes: 0; an interval needs 2"
    assert scorers(paper)["**model**"][:2] == [f"{stored['frame']['auc_micro']:.4f}", ""]
    assert not {"None", "nan", "interval"} & set(paper.markdown.replace("|", " ").split())
    assert "Gain" not in paper.markdown


@pytest.mark.parametrize("which", ["paper", "crops"])
def test_git_keeps_rounded_figures_as_strict_json(which, request):
    paper = request.getfixturevalue(which)
    text = (paper.folder / "metrics.json").read_text("utf-8")
    stored = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    kept = paper.metrics
    own = {"clips", "subjects", "frame", "baseline", "interval", "gain", "branch", "event", "clip"}
    own |= {"threshold", "anomaly_rate", "reconstruction_error", "pixel", "localisation"}
    assert set(stored) == set(kept) == own | ({"region"} if which == "crops" else set())
    assert kept["frame"]["auc_micro"] == float(f"{paper.result['frame']['auc_micro']:.6g}")
    assert kept["localisation"]["clips_without_masks"] == 1  # late
    assert all(isinstance(leaf, (int, float)) for key, leaf in leaves(kept) if key not in ("over", "absent"))
    assert json.loads(json.dumps(kept)) == kept
    line = evaluate.headline(paper.result)
    assert f"frame AUC micro {paper.result['frame']['auc_micro']:.4f} (trivial scorers: random 0." in line


# --- tables and plot data


def test_tables_per_clip_camera_and_subject(paper):
    table = paper.csv("clips.csv")
    assert table["clip"].tolist() == ["fall", "late", "walk", "new|er"]
    assert table["frames"].tolist() == [100, 120, 30, 40]
    assert table["anomalous_frames"].fillna(-1).tolist() == [30, 5, 0, -1]
    assert table["auc"].isna().tolist() == [False, False, True, True]
    cameras = paper.csv("cameras.csv").set_index("camera")
    assert cameras["clips"].to_dict() == {"01": 2, "0|2": 2}
    assert cameras["frames"].to_dict() == {"01": 220, "0|2": 70}
    subjects = paper.csv("subjects.csv").set_index("subject")
    assert subjects["clips"].to_dict() == {"007": 2, "ä|b": 1, "(not given)": 1}
    both = np.concatenate([paper.clips[i].errors["reconstruction"] for i in (0, 2)])
    assert subjects.loc["007", "reconstruction_error_mean"] == pytest.approx(both.mean())
    assert subjects.loc["007", "reconstruction_error_std"] == pytest.approx(both.std())
    rate = np.concatenate([paper.clips[i].scores > 0.75 for i in (0, 2)]).mean()
    assert subjects.loc["007", "anomaly_rate"] == pytest.approx(rate)


def test_events_are_runs_of_alarms_in_source_frames(paper):
    table, frames = paper.csv("events.csv"), paper.csv("frames.csv")
    for name, own in frames.groupby("clip"):
        found = table[table["clip"] == name]
        inside = np.zeros(len(own), bool)
        for event in found.itertuples():
            within = own["source_frame"].between(event.start, event.end - 1).to_numpy()
            assert event.score == own["score"][within].max()
            assert own["score"][own["source_frame"] == event.peak].item() == event.score
            inside |= within
        assert inside[own["alarm"] == 1].all()
        edges = own["source_frame"].isin([*found["start"], *(found["end"] - 1)])
        assert own["alarm"][edges].all()
    fall = paper.result["event"]
    assert fall["labelled"] == 3
    assert fall["hours"] == pytest.approx((70 / 10 + 115 / 5 + 30 / 10) / 3600)


def test_persons_and_tracks_have_tables_of_their_own(boxes, crops):
    table = crops.csv("tracks.csv")
    assert list(table.columns[:6]) == ["clip", "track", "person", "first_frame", "last_frame", "frames"]
    assert list(table.columns[9:]) == [
        f"{b}_error_{k}" for b in ("appearance", "flow") for k in ("mean", "std")
    ]
    assert table["clip"].tolist() == ["fall", "fall", "fall", "late", "new|er"]
    assert table["track"].tolist() == [0, 1, 7, 4, 4]
    assert table["person"].tolist() == ["ä|b", "007", "eve", "ä|b", "eve"]
    own = tables.read_table(boxes / "errors/test/fall").query("track == 7")
    scores = sum(levelled(own[f"error_{b}"].astype(float) - 1) for b in ("appearance", "flow"))
    row = table.iloc[2]
    assert (row["first_frame"], row["last_frame"]) == (own["frame"].min(), own["frame"].max())
    assert row["score_mean"] == pytest.approx(scores.mean(), rel=1e-5)
    assert row["anomaly_rate"] == pytest.approx((scores > 0.75).mean())
    subjects = crops.csv("subjects.csv").set_index("subject")
    # walk is the subject's, with every frame; of fall what nobody else has; nobody is left without a name
    assert subjects["clips"].to_dict() == {"007": 2, "eve": 2, "ä|b": 2}
    assert (
        subjects.loc["ä|b", "frames"] == 2 * own_frames(boxes, 0) + 120
    )  # late is hers with its empty frames
    assert subjects.loc["eve", "frames"] == 2 * own_frames(boxes, 7) + 40
    assert crops.csv("clips.csv")["subject"].tolist() == ["007", "ä|b", "007", "eve"]
    assert crops.metrics["subjects"] == 3


def own_frames(boxes: Path, track: int) -> int:
    """Frames with windows in which the track of `fall` is; each stands for two."""
    table = tables.read_table(boxes / "errors/test/fall")
    return table[table["track"] == track]["frame"].nunique()


def test_a_frame_without_regions_has_error_0(crops):
    walk = crops.csv("frames.csv").query("clip == 'walk'")
    assert (walk[["appearance_error", "flow_error"]] == 0).all(axis=None)
    assert (walk["speed_error"] > 0).all()


def test_thinned_curves_keep_every_peak(paper):
    table = paper.csv("plots/curves.csv")
    assert list(table.columns) == ["clip", "frame", "score", "label", "threshold"]
    assert (table["threshold"] == 0.75).all()
    for clip in paper.clips:
        own = table[table["clip"] == plots.name(clip)]
        assert len(own) <= 50
        assert own["score"].max() == pytest.approx(clip.scores.max(), abs=1e-5)
        assert own["frame"].is_monotonic_increasing
        if clip.anomalous is None:
            assert own["label"].isna().all()
        else:
            assert own["label"].max() == clip.anomalous.max()


@given(st.integers(1, 300), st.integers(50, 120))
@settings(max_examples=50, deadline=None)
def test_a_thin_curve_holds_the_highest_of_each_run(length, points):
    scores = np.random.default_rng(length).random(length).round(4)
    known = {"clip": "test/a", "scores": scores, "anomalous": scores > 0.9}
    known["source_frames"] = np.arange(length) * 3
    clip = ScoredClip(**{field.name: known.get(field.name) for field in fields(ScoredClip)})
    table = plots.curves([clip], 0.5, points)
    assert len(table) <= points
    step = -(-length // points)
    runs = [scores[i : i + step] for i in range(0, length, step)]
    assert table["score"].tolist() == [run.max() for run in runs]
    assert table["label"].tolist() == [float((run > 0.9).any()) for run in runs]
    assert table["frame"].tolist() == list(range(0, 3 * length, 3 * step))


def test_the_pictures_are_some(paper):
    for name in ("curves.png", *drawn("fall", "new|er")):
        picture = matplotlib.image.imread(paper.folder / name)
        assert picture.shape[0] > 100
        assert picture[..., :3].std() > 0.05  # something is drawn


# --- the summary


def rows(markdown: str, title: str) -> list[list[str]]:
    """The cells of the table below a title."""
    part = markdown.partition(title)[2].strip().partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in part]


def scorers(paper: Paper) -> dict[str, list[str]]:
    """The table of the headline: cells by scorer."""
    lines = [line for line in paper.markdown.partition("Threshold")[0].splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {8}
    return {row[0]: row[1:] for row in cells[2:]}


def test_the_summary_is_a_page(paper):
    text, result = paper.markdown, paper.result
    frame, gain, event = result["frame"], result["gain"], result["event"]
    names = ["auc_micro", "auc_macro", "average_precision", "eer", "precision", "recall", "f1"]
    found = scorers(paper)
    assert found["**model**"] == [f"{frame[key]:.4f}" for key in names]
    assert list(found)[1:] == [
        "model, causal",
        "model, min-max per clip",
        "random (learns nothing)",
        "time (learns nothing)",
    ]
    assert found["time (learns nothing)"][0] == f"{result['baseline']['time']['auc_micro']:.4f}"
    assert "250 test frames in 4 clips, 35 of them labelled anomalous" in text
    assert "mean of the 2 clips with both classes (1 have one)" in text
    assert f"({gain['over']}): {gain['auc_micro']['difference']:+.3f}, " in text
    assert f"Events: {event['found']} of 3 labelled ones found" in text
    assert f"Pixels: AUC {result['pixel']['auc']:.3f}, 40 % criterion " in text
    assert f"RBDC {result['localisation']['rbdc']:.3f}" in text
    assert "Clips: AUC of the highest score" in text
    assert "regions per frame" not in text
    assert "- `test/lost`: it is empty" in text
    assert summary.markdown(result, paper.folder, {}).partition("## Skipped clips")[2].strip() == "None."


def test_names_and_counts_stand_as_they_are(paper):
    table = rows(paper.markdown, "## Clips")
    assert {len(row) for row in table} == {len(table[0])}
    column = {name: [row[i] for row in table[2:]] for i, name in enumerate(table[0])}
    assert column["clip"] == ["fall", "late", "walk", "new¦er"]
    assert column["camera"] == ["01", "01", "0¦2", "0¦2"]
    assert column["anomalous"] == ["30", "5", "0", ""]
    assert column["AUC"] == [*(f"{auc:.4f}" for auc in paper.csv("clips.csv")["auc"][:2]), "", ""]
    error = paper.csv("clips.csv").iloc[0]
    mean, deviation = error["reconstruction_error_mean"], error["reconstruction_error_std"]
    assert column["reconstruction error"][0] == f"{mean:.4f} ± {deviation:.4f}"
    assert [row[0] for row in rows(paper.markdown, "## Cameras")[2:]] == ["01", "0¦2"]
    assert [row[0] for row in rows(paper.markdown, "## Subjects")[2:]] == ["(not given)", "007", "ä¦b"]


def test_the_summary_of_several_branches_sets_each_by_itself(boxes, crops):
    found = scorers(crops)
    alone = {f"branch {b} alone" for b in ("appearance", "flow", "speed", "learned")}
    assert set(list(found)[1:5]) == alone
    assert found["branch flow alone"][0] == f"{crops.result['branch']['flow']['auc_micro']:.4f}"
    assert "speed (learns nothing)" in found
    assert {"appearance error", "flow error", "speed error"} <= set(rows(crops.markdown, "## Clips")[0])
    counts = []
    for clip in crops.clips:
        per_frame = tables.read_table(boxes / "errors" / clip.clip)["frame"].value_counts()
        counts += [per_frame.get(t - t % 2, 0) for t in range(len(clip.scores))]
    expected = {"per_frame": np.mean(counts), "frames_without": counts.count(0), "tracks": 5}
    assert crops.result["region"] == pytest.approx(expected)
    assert f"\n{np.mean(counts):.2f} regions per frame on average; {counts.count(0)} frames" in crops.markdown
    assert "5 tracks, one by one in tracks.csv." in crops.markdown


def test_boxes_without_tracks_make_no_table_of_them(boxes, tmp_path):
    paper = Paper(boxes, tmp_path, SEVERAL, chosen=CLIPS[2:3])
    assert sorted(paper.files()) == sorted([*FILES, *drawn("walk")])
    assert "No tracks." in paper.markdown
    assert "pixel" not in paper.metrics  # walk is normal and has no masks
    assert "Pixels" not in paper.markdown
