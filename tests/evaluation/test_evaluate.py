"""The outputs of `evaluate`: figures, tables, plot data and pictures, and their agreement."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tests.evaluation.reports import (
    CLIPS,
    FALL,
    FILES,
    IDENTITY,
    INTERVALS,
    LOOKAHEAD,
    PARAMS,
    RECONSTRUCTION,
    SEVERAL,
    Report,
    figures,
    heatmap_files,
    read,
    score,
)
from vad import UserError
from vad.evaluation import plots, summary
from vad.evaluation.baselines import trivial_scorers
from vad.evaluation.evaluate import evaluate, headline, write
from vad.evaluation.event_metrics import ClipEvents, event_level
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_errors
from vad.scoring.params import EventParams
from vad.scoring.scores import read_scores, write_scores
from vad.store.arrays import open_array
from vad.store.cards import read_json
from vad.store.tables import read_table


def levelled(z: Any) -> np.ndarray:
    """Standardised errors; those below 0 are squeezed into (-0.01, 0)."""
    return np.where(np.asarray(z) > 0, z, (np.exp(z) - 1) / 100)


def test_the_same_inputs_give_the_same_bytes_over_an_earlier_report(
    box_inputs, frames_report, boxes_report, tmp_path
):
    expected = [*FILES, *heatmap_files("fall", "late", "new|er", "walk")]
    assert sorted(frames_report.files()) == sorted(expected)
    assert sorted(boxes_report.files()) == sorted([*expected, "tracks.csv"])
    folder = tmp_path / "report"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots/curves.csv").write_text("of an earlier run")
    again = Report(box_inputs, folder, SEVERAL, identity=IDENTITY)
    assert (again.files(), again.markdown) == (boxes_report.files(), boxes_report.markdown)


# --- figures


def test_evaluate_reads_the_scores_and_computes_none(box_inputs, tmp_path, monkeypatch):
    """Scores that differ from those of the calibration are used."""
    score(box_inputs, tmp_path / "scores", CLIPS, SEVERAL)
    stored = {clip.clip: read_scores(tmp_path / "scores" / clip.clip) for clip in CLIPS}
    rng = np.random.default_rng(5)
    for name, scores in stored.items():
        length = len(scores.scores)
        others = {key: rng.random(length) for key in ("scores", "unsmoothed")}
        others["regions"] = rng.random(len(scores.regions))
        others["branches"] = {branch: rng.random(length) for branch in scores.branches}
        others["errors"] = {branch: rng.random(length) for branch in scores.errors}
        stored[name] = replace(scores, events=scores.events[:1], **others)
        write_scores(tmp_path / "scores" / name, stored[name])
    for method in ("fuse", "frame_errors", "frame_scores", "smoothed", "region_scores"):
        monkeypatch.delattr(Calibration, method)
    clips = read(box_inputs, tmp_path / "scores")
    for clip in clips:
        for key in ("scores", "unsmoothed", "seconds", "source_frames"):
            np.testing.assert_array_equal(getattr(clip, key), getattr(stored[clip.clip], key))
        assert clip.regions.table["score"].tolist() == stored[clip.clip].regions.tolist()
        assert clip.events == stored[clip.clip].events
        for key in ("branches", "errors"):
            assert {k: v.tolist() for k, v in getattr(clip, key).items()} == {
                k: v.tolist() for k, v in getattr(stored[clip.clip], key).items()
            }
    trivial = trivial_scorers(clips, PARAMS.seed)
    result = evaluate(clips, trivial, SEVERAL, PARAMS)
    y = np.concatenate([clip.anomalous for clip in clips[:3]])
    s = np.concatenate([stored[clip.clip].scores for clip in clips[:3]])
    assert result["frame"]["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s))
    write(tmp_path / "report", clips, clips, trivial, SEVERAL, result)
    assert (tmp_path / "report/tracks.csv").is_file()


def test_every_frame_has_a_row(frame_inputs, frames_report):
    table = frames_report.csv("frames.csv")
    assert len(table) == 100 + 120 + 30 + 40
    assert not table.duplicated(["clip", "frame"]).any()
    for clip in frames_report.clips:
        rows = table[table["clip"] == clip.name]
        assert rows["frame"].tolist() == list(range(len(clip.scores)))
        errors = read_table(frame_inputs / "errors" / clip.clip)["error_reconstruction"].astype(float)
        np.testing.assert_allclose(rows["score"], levelled(errors - 1), atol=1e-6)  # as calibrated
        np.testing.assert_allclose(rows["reconstruction_error"], errors, atol=1e-6)
        assert rows["alarm"].tolist() == [int(e - 1 > 0.75) for e in errors]
        assert rows["source_frame"].tolist() == clip.source_frames.tolist()
        if clip.anomalous is None:
            assert rows["anomalous"].isna().all()
        else:
            assert rows["anomalous"].tolist() == clip.anomalous.tolist()
    listing = (frames_report.folder / "frames.txt").read_text("utf-8")
    assert listing.count("  anomaly\n") == table["alarm"].sum()
    assert listing.count("Frame ") == len(table)


@pytest.mark.parametrize("which", ["frames_report", "boxes_report"])
def test_figures_follow_from_the_table_of_frames(which, request):
    """The figures in metrics.json can be recomputed from frames.csv."""
    report = request.getfixturevalue(which)
    table = report.csv("frames.csv").dropna()
    frame = report.result["frame"]
    y, s = table["anomalous"], table["score"]
    assert frame["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s), abs=1e-6)
    assert frame["average_precision"] == pytest.approx(sk.average_precision_score(y, s), abs=1e-6)
    for key, of in {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}.items():
        assert frame[key] == pytest.approx(of(y, table["alarm"]))
    assert frame["false_positive_rate"] == pytest.approx(table["alarm"][y == 0].mean())
    both = [table[table["clip"] == name] for name in ("fall", "late")]
    by_clip = [sk.roc_auc_score(rows["anomalous"], rows["score"]) for rows in both]
    assert frame["auc_macro"] == pytest.approx(np.mean(by_clip), abs=1e-6)
    assert (frame["clips_in_macro"], frame["clips_with_one_class"]) == (2, 1)
    span = table.groupby("clip")["score"]
    scaled = (s - span.transform("min")) / (span.transform("max") - span.transform("min")).replace(0, 1)
    assert frame["minmax_per_clip"]["auc_micro"] == pytest.approx(sk.roc_auc_score(y, scaled), abs=1e-6)
    assert report.result["anomaly_rate"] == pytest.approx(table["alarm"].mean())
    time = report.result["baseline"]["time"]["auc_micro"]
    assert time == pytest.approx(sk.roc_auc_score(y, table["seconds"]))
    for branch, error in report.result["reconstruction_error"].items():
        assert error["mean"] == pytest.approx(table[f"{branch}_error"].mean(), rel=1e-6)
    auc = report.csv("plots/clip_auc.csv")
    assert auc["clip"].tolist() == ["fall", "late"]
    np.testing.assert_allclose(auc["auc"], by_clip, atol=1e-6)


def test_branches_are_calibrated_smoothed_and_judged_separately(box_inputs, boxes_report):
    """`learned` is the score of all branches except speed, which is also a trivial scorer."""
    assert set(boxes_report.result["branch"]) == {"appearance", "flow", "speed", "learned"}
    assert list(boxes_report.result["baseline"]) == ["random", "time", "speed"]
    assert boxes_report.result["baseline"]["speed"] == boxes_report.result["branch"]["speed"]
    fall = boxes_report.clips[0]
    alone = {b: levelled(fall.errors[b] - 1) for b in ("appearance", "flow", "speed")}
    alone["learned"] = alone["appearance"] + alone["flow"]
    maps = open_array(box_inputs / "errors/test/fall.map_speed")[0]
    np.testing.assert_allclose(fall.errors["speed"], maps.max((1, 2)))
    for branch, scores in alone.items():
        around = np.stack([np.r_[scores[:1], scores[:-1]], scores, np.r_[scores[1:], scores[-1:]]])
        smoothed = np.median(around, 0)
        between = slice(1, -1)  # near its ends, a filter has fewer frames
        np.testing.assert_allclose(fall.branches[branch][between], smoothed[between], atol=1e-9)
    total = alone["learned"] + alone["speed"]
    np.testing.assert_allclose(fall.unsmoothed, total, atol=1e-9)


def test_the_anomaly_rate_is_the_share_above_the_calibrated_threshold(frame_inputs, tmp_path):
    """A clip calibrated on itself: the share above the 90th percentile is alarmed."""
    errors = read_errors(frame_inputs / "errors", {"test/walk": "02"})
    by = calibrate(errors, RECONSTRUCTION.params)
    score(frame_inputs, tmp_path / "scores", CLIPS[2:3], by)
    clips = read(frame_inputs, tmp_path / "scores", CLIPS[2:3])
    assert figures(clips, by)["anomaly_rate"] == pytest.approx(0.1)


def test_no_test_clips_are_refused():
    with pytest.raises(UserError, match=r"no test clips are left .*skipped\.csv"):
        evaluate([], {}, RECONSTRUCTION, PARAMS)


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
def test_without_labels_of_both_classes_other_results_are_written(
    frame_inputs, tmp_path, chosen, labels, why
):
    """An undefined figure is absent, with the reason, and neither 0 nor NaN."""
    report = Report(frame_inputs, tmp_path / "report", clips=chosen, labels=labels)
    names = [clip.clip.partition("/")[2] for clip in chosen]
    assert sorted(report.files()) == sorted([*FILES, *heatmap_files(*names)])
    assert report.metrics["frame"]["absent"] == report.stored["frame"]["absent"] == why
    keys = [key for key, _ in leaves({k: v for k, v in report.stored.items() if k not in ("pixel", "event")})]
    assert not [key for key in keys if key.startswith(("auc", "average", "eer", "f1", "precision"))]
    assert not {"baseline", "gain", "interval", "branch"} & set(report.stored)
    alarmed = np.concatenate([clip.scores for clip in report.clips]) > 0.75
    labelled = [clip for clip in report.clips if clip.anomalous is not None] or report.clips
    rate = (np.concatenate([clip.scores for clip in labelled]) > 0.75).mean()
    assert report.metrics["anomaly_rate"] == pytest.approx(rate, rel=1e-5)
    assert len(report.events) > 0
    assert report.csv("frames.csv")["alarm"].sum() == alarmed.sum() > 0
    assert f"No frame-level metrics: {why}." in report.markdown
    assert "AUC" not in report.markdown.partition("## Clips")[0].replace("Pixels: AUC", "").replace(
        "AUC of the 40 %", ""
    )
    assert [row[0] for row in report.cells("## Events")[2:]] == [
        name.replace("|", "¦") for name in report.events["clip"]
    ]
    assert headline(report.result).startswith(f"no frame-level AUC: {why}; anomaly rate 0.")
    assert [row[0] for row in report.cells("## Clips")[2:]][-1] == "new¦er"


def test_figures_that_single_clips_leave_undefined_are_left_out(frame_inputs, tmp_path):
    """A clip of anomalous frames and a clip of normal frames: a micro AUC, no macro AUC, no interval."""
    chosen, folder = [CLIPS[0], CLIPS[2]], tmp_path / "report"
    report = Report(frame_inputs, folder, clips=chosen, labels={FALL: [(0, 100)]})
    stored = read_json(folder / "metrics.json")
    assert not [key for key, value in leaves(stored) if value is None]
    assert "auc_micro" in stored["frame"]
    assert "auc_macro" not in stored["frame"] | stored["baseline"]["time"]
    assert stored["frame"]["clips_in_macro"] == 0
    assert stored["interval"]["auc_macro"]["absent"] == "clips with both classes: 0; an interval needs 2"
    assert report.scorers()["**model**"][:2] == [f"{stored['frame']['auc_micro']:.4f}", ""]
    assert not {"None", "nan"} & set(report.markdown.replace("|", " ").split())
    assert "interval of the micro AUC" not in report.markdown
    assert "Gain" not in report.markdown


def test_live_scores_wait_for_the_frames_ahead_of_errors_and_of_smoothing(boxes_report):
    """The errors of the clips look three frames ahead, the median of three looks one frame ahead."""
    by = replace(SEVERAL, params=SEVERAL.params.model_copy(update={"events": EventParams(min_duration=0.5)}))
    for calibration, shortest in ((SEVERAL, 0.0), (by, 0.5)):
        result = figures(boxes_report.clips, calibration)
        assert result["lookahead"] == {"frames": LOOKAHEAD + 1, "seconds": 0.4}
        waits = [(LOOKAHEAD + 1) / fps + shortest for fps in (10.0, 5.0, 10.0)]
        labelled = [
            ClipEvents(clip.events, clip.anomalous, clip.fps, wait)
            for clip, wait in zip(boxes_report.clips, waits, strict=False)
        ]
        assert result["event"] == event_level(labelled, PARAMS.max_delay)
    assert result["event"]["delay_mean_delivered"] > result["event"]["delay_mean"]


@pytest.mark.parametrize("which", ["frames_report", "boxes_report"])
def test_git_keeps_rounded_figures_as_strict_json(which, request):
    report = request.getfixturevalue(which)
    text = (report.folder / "metrics.json").read_text("utf-8")
    stored = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    sections = {"clips", "subjects", "frame", "baseline", "interval", "gain", "branch", "event", "clip"}
    sections |= {"lookahead", "threshold", "anomaly_rate", "reconstruction_error", "pixel", "localisation"}
    assert set(stored) == sections | ({"region"} if which == "boxes_report" else set())
    assert stored["localisation"]["clips_without_masks"] == 1  # late
    kept = report.metrics
    assert kept["frame"]["auc_micro"] == float(f"{report.result['frame']['auc_micro']:.6g}")
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    line = headline(report.result)
    assert f"frame AUC micro {report.result['frame']['auc_micro']:.4f} (trivial scorers: random 0." in line


# --- tables and plot data


def test_tables_per_clip_camera_and_subject(frames_report):
    table = frames_report.csv("clips.csv")
    assert table["clip"].tolist() == ["fall", "late", "walk", "new|er"]
    assert table["frames"].tolist() == [100, 120, 30, 40]
    assert table["anomalous_frames"].fillna(-1).tolist() == [30, 5, 0, -1]
    assert table["auc"].isna().tolist() == [False, False, True, True]
    cameras = frames_report.csv("cameras.csv").set_index("camera")
    assert cameras["clips"].to_dict() == {"01": 2, "0|2": 1}  # one of its clips is not labelled
    assert cameras["frames"].to_dict() == {"01": 220, "0|2": 30}
    subjects = frames_report.csv("subjects.csv").set_index("subject")
    assert subjects["clips"].to_dict() == {"007": 2, "ä|b": 1}
    both = np.concatenate([frames_report.clips[i].errors["reconstruction"] for i in (0, 2)])
    assert subjects.loc["007", "reconstruction_error_mean"] == pytest.approx(both.mean())
    assert subjects.loc["007", "reconstruction_error_std"] == pytest.approx(both.std())
    rate = np.concatenate([frames_report.clips[i].scores > 0.75 for i in (0, 2)]).mean()
    assert subjects.loc["007", "anomaly_rate"] == pytest.approx(rate)


def test_events_are_runs_of_alarms_in_source_frames(frames_report):
    table = frames_report.csv("frames.csv")
    for name, rows in table.groupby("clip"):
        events = frames_report.events[frames_report.events["clip"] == name]
        inside = np.zeros(len(rows), bool)
        for event in events.itertuples():
            within = rows["source_frame"].between(event.start, event.end - 1).to_numpy()
            assert event.score == rows["score"][within].max()
            assert rows["score"][rows["source_frame"] == event.peak].item() == event.score
            inside |= within
        assert inside[rows["alarm"] == 1].all()
        edges = rows["source_frame"].isin([*events["start"], *(events["end"] - 1)])
        assert rows["alarm"][edges].all()
    figures = frames_report.result["event"]
    assert figures["labelled"] == 3
    assert figures["hours"] == pytest.approx((70 / 10 + 115 / 5 + 30 / 10) / 3600)


COMPARED = {  # what metrics/evaluate.json holds at most
    "frame": {"auc_micro", "auc_macro", "average_precision", "f1", "false_positive_rate"},
    "event": {"labelled", "found", "on_time", "delay_median", "f1", "false_alarms"}
    | {"false_alarms_per_hour", "alarm_fraction_normal"},
    "localisation": {"rbdc", "tbdc"},
    "gain": {"auc_micro"},
    "validation": {"auc"},
    "threshold": None,
    "anomaly_rate": None,
}


def test_git_keeps_at_most_twenty_figures(frames_report, frame_inputs, tmp_path):
    """Those of COMPARED, with the names and, but for rounding, the values that metrics.json has."""
    validation = {"validation": {"auc": 0.75, "low": 0.5, "kind": {}}}
    kept = summary.metrics(frames_report.result | validation)
    assert len(leaves(kept)) == 20
    assert {k: set(v) if isinstance(v, dict) else None for k, v in kept.items()} == COMPARED
    assert set(kept["event"]["f1"]) == {"iou_20", "iou_50"}
    stored = frames_report.stored | validation
    for section, names in COMPARED.items():
        for name in (names or set()) - {"f1", "auc_micro"}:
            assert kept[section][name] == pytest.approx(stored[section][name], rel=1e-5)
    assert kept["event"]["f1"]["iou_50"] == pytest.approx(stored["event"]["f1"]["iou_50"], rel=1e-5)
    difference = stored["gain"]["auc_micro"]["difference"]
    assert kept["gain"] == {"auc_micro": {"difference": pytest.approx(difference, rel=1e-5)}}
    unlabelled = Report(frame_inputs, tmp_path / "report", clips=CLIPS[3:])
    assert set(unlabelled.metrics) == {"frame", "threshold", "anomaly_rate"}
    assert set(unlabelled.metrics["frame"]) == {"absent"}


def test_tracks_and_persons_have_tables(box_inputs, boxes_report):
    table = boxes_report.csv("tracks.csv")
    assert list(table.columns[:6]) == ["clip", "track", "person", "first_frame", "last_frame", "frames"]
    assert list(table.columns[9:]) == [
        f"{b}_error_{k}" for b in ("appearance", "flow") for k in ("mean", "std")
    ]
    assert table["clip"].tolist() == ["fall", "fall", "fall", "late", "new|er"]
    assert table["track"].tolist() == [0, 1, 7, 4, 4]
    assert table["person"].tolist() == ["ä|b", "007", "eve", "ä|b", "eve"]
    regions = read_table(box_inputs / "errors/test/fall").query("track == 7")
    scores = sum(levelled(regions[f"error_{b}"].astype(float) - 1) for b in ("appearance", "flow"))
    row = table.iloc[2]
    assert (row["first_frame"], row["last_frame"]) == (regions["frame"].min(), regions["frame"].max())
    assert row["score_mean"] == pytest.approx(scores.mean(), rel=1e-5)
    assert row["anomaly_rate"] == pytest.approx((scores > 0.75).mean())
    subjects = boxes_report.csv("subjects.csv").set_index("subject")
    # walk is the subject's, with every frame; of fall the rest of the regions; nobody is left without a name
    assert subjects["clips"].to_dict() == {"007": 2, "eve": 1, "ä|b": 2}  # another of hers is not labelled
    # late is hers with its empty frames
    assert subjects.loc["ä|b", "frames"] == 2 * frames_with_track(box_inputs, 0) + 120
    assert subjects.loc["eve", "frames"] == 2 * frames_with_track(box_inputs, 7)
    assert boxes_report.csv("clips.csv")["subject"].tolist() == ["007", "ä|b", "007", "eve"]
    assert boxes_report.stored["subjects"] == 3


def frames_with_track(inputs: Path, track: int) -> int:
    """Frames with windows that have a region of the track in `fall`; each stands for two frames."""
    table = read_table(inputs / "errors/test/fall")
    return table[table["track"] == track]["frame"].nunique()


def test_a_frame_without_regions_has_error_0(boxes_report):
    walk = boxes_report.csv("frames.csv").query("clip == 'walk'")
    assert (walk[["appearance_error", "flow_error"]] == 0).all(axis=None)
    assert (walk["speed_error"] > 0).all()


@pytest.mark.parametrize("points", [50, plots.CURVE_POINTS])
def test_thinned_curves_keep_every_peak(frames_report, points):
    table = plots.score_curves(frames_report.clips, 0.75, points)
    if points == plots.CURVE_POINTS:
        table = frames_report.csv("plots/curves.csv")
    assert list(table.columns) == ["clip", "frame", "score", "label", "threshold"]
    assert (table["threshold"] == 0.75).all()
    for clip in frames_report.clips:
        rows = table[table["clip"] == clip.name]
        assert len(rows) <= points
        assert rows["score"].max() == pytest.approx(clip.scores.max(), abs=1e-5)
        assert rows["frame"].is_monotonic_increasing
        if clip.anomalous is None:
            assert rows["label"].isna().all()
        else:
            assert rows["label"].max() == clip.anomalous.max()


@given(st.integers(1, 300), st.integers(50, 120))
@settings(max_examples=50, deadline=None)
def test_a_thinned_curve_holds_the_highest_score_of_each_run(length, points):
    scores = np.random.default_rng(length).random(length).round(4)
    given = {"clip": "test/a", "scores": scores, "anomalous": scores > 0.9}
    given["source_frames"] = np.arange(length) * 3
    clip = ScoredClip(**{field.name: given.get(field.name) for field in fields(ScoredClip)})
    table = plots.score_curves([clip], 0.5, points)
    assert len(table) <= points
    step = -(-length // points)
    runs = [scores[i : i + step] for i in range(0, length, step)]
    assert table["score"].tolist() == [run.max() for run in runs]
    assert table["label"].tolist() == [float((run > 0.9).any()) for run in runs]
    assert table["frame"].tolist() == list(range(0, 3 * length, 3 * step))


def test_pictures_are_not_empty(frames_report):
    for name in ("curves.png", *heatmap_files("fall", "new|er")):
        picture = matplotlib.image.imread(frames_report.folder / name)
        assert picture.shape[0] > 100
        assert picture[..., :3].std() > 0.05  # something is drawn
