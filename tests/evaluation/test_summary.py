"""The summary: a page of figures, events and tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.reports import CLIPS, FILES, SEVERAL, Report, heatmap_files
from tests.scoring.test_evidence import BY_DAY, BY_SHARE
from vad.evaluation import summary
from vad.evaluation.summary import MAX_EVENTS
from vad.scoring.event_tables import COLUMNS
from vad.scoring.evidence import Evidence, sentences
from vad.store.tables import read_table


def test_the_summary_reports_the_headline_beside_the_trivial_scorers(frames_report):
    text, result = frames_report.markdown, frames_report.result
    frame, gain, event = result["frame"], result["gain"], result["event"]
    names = ["auc_micro", "auc_macro", "average_precision", "eer", "precision", "recall", "f1"]
    scorers = frames_report.scorers()
    assert scorers["**model**"] == [f"{frame[key]:.4f}" for key in names]
    assert list(scorers)[1:] == [
        "model, min-max per clip",
        "random (learns nothing)",
        "time (learns nothing)",
    ]
    assert scorers["time (learns nothing)"][0] == f"{result['baseline']['time']['auc_micro']:.4f}"
    assert "250 test frames in 3 clips, 35 of them labelled anomalous" in text
    assert "mean over the 2 clips with frames of both classes; clips that lack a class: 1." in text
    assert f"({gain['over']}): {gain['auc_micro']['difference']:+.3f}, " in text
    assert "\nLive scores come 3 frames (0.40 s) after their frame.\n" in text.partition("| scorer")[0]
    assert (
        f"Events: {event['found']} of 3 labelled events detected, {event['delay_median']:.2f} s after" in text
    )
    assert (
        f"(median), {event['delay_median_delivered']:.2f} s as delivered live; {event['on_time']} on" in text
    )
    assert f" on time, {event['on_time_delivered']} as delivered live. False alarms:" in text
    rate, low, high = (f"{event[f'false_alarms_per_hour{end}']:.0f}" for end in ("", "_low", "_high"))
    assert (
        f"False alarms: {event['false_alarms']} in {event['hours']:.3g} hours of normal footage, "
        f"{rate} per hour (95 % confidence interval {low} to {high}); events cover "
        f"{100 * event['alarm_fraction_normal']:.1f} % of it.\n" in text
    )
    assert "e+" not in text
    assert f"labelled events: {event['f1']['iou_20']:.2f} if a pair must share 20 % of" in text
    assert f"together, {event['f1']['iou_50']:.2f} if 50 %.\n" in text
    above = f"lie above it, {100 * frame['false_positive_rate']:.1f} % of those that are labelled normal.\n"
    assert above in text
    assert f"Pixels: AUC {result['pixel']['auc']:.3f}, AUC of the 40 % criterion " in text
    assert f"RBDC {result['localisation']['rbdc']:.3f}" in text
    assert "Clips: AUC of the highest score" in text
    assert "regions per frame" not in text
    assert "- `test/lost`: it is empty" in text
    at_once = result | {"lookahead": {"frames": 0, "seconds": 0.0}}
    without = summary.markdown(at_once, frames_report.folder, frames_report.events, {})
    assert "\nLive scores need no frames ahead.\n" in without.partition("| scorer")[0]
    assert "after their frame" not in without
    assert without.partition("## Skipped clips")[2].strip() == "None."


def test_names_and_counts_stand_in_the_tables_as_they_are(frames_report):
    table = frames_report.cells("## Clips")
    assert {len(row) for row in table} == {len(table[0])}
    column = {name: [row[i] for row in table[2:]] for i, name in enumerate(table[0])}
    assert column["clip"] == ["fall", "late", "walk", "new¦er"]
    assert column["camera"] == ["01", "01", "0¦2", "0¦2"]
    assert column["anomalous frames"] == ["30", "5", "0", "not labelled"]
    assert column["AUC"] == [*(f"{auc:.4f}" for auc in frames_report.csv("clips.csv")["auc"][:2]), "", ""]
    assert column["share alarmed"] == [f"{r:.4f}" for r in frames_report.csv("clips.csv")["anomaly_rate"]]
    error = frames_report.csv("clips.csv").iloc[0]
    mean, deviation = error["reconstruction_error_mean"], error["reconstruction_error_std"]
    assert column["reconstruction error (mean ± deviation)"][0] == f"{mean:.4f} ± {deviation:.4f}"
    assert [row[0] for row in frames_report.cells("## Cameras")[2:]] == ["01", "0¦2"]
    assert [row[0] for row in frames_report.cells("## Subjects")[2:]] == ["007", "ä¦b"]


def test_the_summary_of_several_branches_lists_each_alone(box_inputs, boxes_report):
    scorers = boxes_report.scorers()
    alone = {f"branch {b} alone" for b in ("appearance", "flow", "speed")}
    assert set(list(scorers)[1:5]) == alone | {"all learned branches"}
    assert scorers["branch flow alone"][0] == f"{boxes_report.result['branch']['flow']['auc_micro']:.4f}"
    assert "speed (learns nothing)" in scorers
    heads = {f"{b} error (mean ± deviation)" for b in ("appearance", "flow", "speed")}
    assert heads <= set(boxes_report.cells("## Clips")[0])
    counts = []
    for clip in boxes_report.clips[:3]:  # those that are labelled
        per_frame = read_table(box_inputs / "errors" / clip.clip)["frame"].value_counts()
        counts += [per_frame.get(t - t % 2, 0) for t in range(len(clip.scores))]
    expected = {"per_frame": np.mean(counts), "frames_without": counts.count(0), "tracks": 4}
    assert boxes_report.result["region"] == pytest.approx(expected)
    assert (
        f"\n{np.mean(counts):.2f} regions per frame on average; {counts.count(0)} frames"
        in boxes_report.markdown
    )
    assert "4 tracks, listed in tracks.csv." in boxes_report.markdown


def test_boxes_without_tracks_make_no_table_of_tracks(box_inputs, tmp_path):
    report = Report(box_inputs, tmp_path / "report", SEVERAL, clips=CLIPS[2:3])
    assert sorted(report.files()) == sorted([*FILES, *heatmap_files("walk")])
    assert "No tracks." in report.markdown
    assert "pixel" not in report.stored  # walk is normal and has no masks
    assert "Pixels" not in report.markdown


# --- what the threshold rests on


def with_evidence(report: Report, evidence: Evidence | None) -> str:
    return summary.markdown(report.stored, report.folder, report.events, {}, evidence=evidence)


def test_a_warning_on_the_threshold_stands_above_all_figures(frames_report):
    text = with_evidence(frames_report, replace(BY_SHARE, mean_share=0.0201))
    title, warned, *_ = text.split("\n\n")
    assert title == "# Evaluation"
    assert warned.startswith(
        "**WARNING: the threshold rests on 96 seconds of 6 clips: expect frequent alarms"
    )
    assert f"{warned}\n\n250 test frames" in text
    vague = replace(BY_DAY, hours=0.5, left_out_hours=0.5, left_out_events=0, high_per_day=144.0)
    assert "**WARNING: the threshold rests on 30 minutes of 6 clips" in with_evidence(frames_report, vague)


@pytest.mark.parametrize("evidence", [BY_DAY, BY_SHARE])
def test_footage_that_vouches_for_the_threshold_gives_no_warning(frames_report, evidence):
    text = with_evidence(frames_report, evidence)
    assert "WARNING" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("Threshold 0.7500, ")]
    assert line.partition(" labelled normal. ")[2] == " ".join(sentences(evidence))


def test_a_threshold_of_unknown_origin_has_neither_warning_nor_sentences(frames_report):
    text = page(frames_report, frames_report.events)
    assert "WARNING" not in text
    assert "rests on" not in text


# --- events


def test_gaps_in_time_stamps_are_listed(frames_report):
    def text(*gaps: tuple[str, int, float, float]) -> str:
        report = frames_report
        return summary.markdown(report.stored, report.folder, report.events, {}, gaps)

    assert "Gaps" not in text()
    listed = text(("test/fall", 30, 1.2, -0.8), ("test/walk", 7, 0.28, 3600.04))
    assert "- `test/fall`: step back of 0.80 s before frame 30, at 1.20 s" in listed
    assert "- `test/walk`: gap of 3600.04 s before frame 7, at 0.28 s" in listed
    many = text(*(("test/fall", i, 1.0, 2.0) for i in range(50)))
    assert many.count("test/fall`: gap of") == 20
    assert "50 in all: data/frames/gaps.csv" in many


def table_of_events(*rows: tuple) -> pd.DataFrame:
    """Events of (clip, from, to, score, branches)."""
    table = pd.DataFrame(rows, columns=["clip", "from", "to", "score", "branches"])
    return table.assign(start=0, end=1, start_seconds=0.0, end_seconds=1.0, peak=0)[COLUMNS]


def page(report: Report, events: pd.DataFrame) -> str:
    return summary.markdown(report.stored, report.folder, events, {})


def section(text: str) -> str:
    """The section on events."""
    return text.partition("## Events\n")[2].partition("## ")[0].strip()


def test_events_have_a_row_each(frames_report):
    events = table_of_events(
        ("fall", "0:04", "1:02", 1.974, "appearance 62%, flow 38%"), ("a|b", "2:05", "2:06", 12.0, "")
    )
    assert section(page(frames_report, events)).splitlines() == [
        "| clip | from | to | highest score | branches |",
        "|---|---|---|---|---|",
        "| fall | 0:04 | 1:02 | 1.97 | appearance 62%, flow 38% |",
        "| a\\|b | 2:05 | 2:06 | 12.00 |  |",
    ]


@pytest.mark.parametrize("more", [0, 1, 250])
def test_of_many_events_the_first_are_listed_and_the_rest_is_counted(frames_report, more):
    rows = [(f"clip{i}", "0:01", "0:02", 2.0, "flow 100%") for i in range(MAX_EVENTS + more)]
    lines = section(page(frames_report, table_of_events(*rows))).splitlines()
    listed = [line for line in lines[2:] if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in listed] == [f"| clip{i}" for i in range(MAX_EVENTS)]
    rest = [] if more == 0 else ["", f"… and {more} more, in data/scores/events.csv."]
    assert lines[2 + MAX_EVENTS :] == rest


def test_a_run_without_events_says_so(frames_report):
    text = section(page(frames_report, table_of_events()))
    assert text == "No event: no frame lies above the threshold for long enough."


def test_events_of_unlabelled_footage_are_listed(frame_inputs, tmp_path):
    report = Report(frame_inputs, tmp_path / "report", clips=CLIPS[3:])
    assert report.metrics["frame"]["absent"] == "no test clip is labelled"
    assert "event" not in report.stored
    rows = report.cells("## Events")[2:]
    assert len(rows) == len(report.events) > 0
    for row, event in zip(rows, report.events.itertuples(), strict=True):
        start, end = f"0:{event.start_seconds:04.1f}", f"0:{event.end_seconds:04.1f}"
        assert row == ["new¦er", start, end, f"{event.score:.2f}", "reconstruction 100%"]


def test_events_are_read_with_names_as_text(tmp_path):
    """Clips called 007, NA and 1e3 keep their names, and an event without shares has an empty text."""
    names = ["007", "NA", "1e3"]
    table_of_events(*((name, "0:00", "0:01", 2.0, "") for name in names)).to_csv(
        tmp_path / "e.csv", index=False
    )
    events = summary.read_events(tmp_path / "e.csv")
    assert events["clip"].tolist() == names
    assert events["branches"].tolist() == [""] * 3


CHECK = {
    "auc": 0.75,
    "low": 0.5,
    "high": 1.0,
    "unaltered": 0.55,
    "stretches": 3,
    "clips": 2,
    "normal_frames": 90,
    "kind": {
        "sped_up": {
            "auc": 0.9,
            "low": 0.8,
            "high": 1.0,
            "unaltered": 0.6,
            "alarmed": 0.5,
            "stretches": 2,
            "branch": {"flow": 0.7, "speed": 0.8, "learned": 0.95},
        }
    },
}


def test_the_check_without_labels_has_a_row_per_kind_and_names_the_best_single_branch(frames_report):
    result = frames_report.stored | {"validation": CHECK}
    text = summary.markdown(result, frames_report.folder, frames_report.events, {})
    section = text.partition("## Check without labels\n")[2].partition("\n## ")[0]
    assert "altered in 3 stretches of 2 clips: AUC 0.750 (95 % confidence interval 0.500 to 1.000)" in section
    rows = [line for line in section.splitlines() if line.startswith("| sped up |")]
    assert rows == ["| sped up | 2 | 0.900 | 0.800 to 1.000 | 0.600 | 50 % | 0.800 (speed) |"]
    absent = frames_report.stored | {"validation": {"absent": "no normal clip was left out of training"}}
    text = summary.markdown(absent, frames_report.folder, frames_report.events, {})
    assert "## Check without labels\n\nNone: no normal clip was left out of training.\n" in text
    assert "Check without labels" not in frames_report.markdown
