"""Test clips without labels among labelled ones: scored and listed, and counted in no figure."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.reports import CLIPS, IDENTITY, INTERVALS, RECONSTRUCTION, SEVERAL, TABLES, Report
from vad.evaluation.evaluate import without_labels
from vad.evaluation.identity import Identity

OF_LABELS = ["cameras.csv", "subjects.csv"] + [
    f"plots/{name}.csv" for name in ("clip_auc", "histogram", "pr", "roc", "subject_auc")
]
NAMES = [clip.clip for clip in CLIPS]


def persons(clips: Sequence[str]) -> Identity:
    """IDENTITY without clips that are not there."""
    return Identity(
        {clip: person for clip, person in IDENTITY.clips.items() if clip in clips},
        {clip: tracks for clip, tracks in IDENTITY.tracks.items() if clip in clips},
    )


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize(
    "without",
    [NAMES[:1], NAMES[1:2], NAMES[2:3], NAMES[3:], NAMES[1:3], [NAMES[0], NAMES[3]], NAMES[:3]],
    ids=lambda names: "+".join(name.removeprefix("test/") for name in names),
)
def test_figures_are_those_without_the_clips(request, tmp_path, without, boxes):
    """Also if an unlabelled clip has intervals or masks from an earlier labelling."""
    inputs: Path = request.getfixturevalue("box_inputs" if boxes else "frame_inputs")
    by = SEVERAL if boxes else RECONSTRUCTION
    clips = [replace(clip, labelled=clip.clip not in without) for clip in CLIPS]
    labelled = [clip for clip in clips if clip.labelled]
    mixed = Report(inputs, tmp_path / "mixed", by, clips, INTERVALS, persons(NAMES))
    alone = Report(
        inputs, tmp_path / "alone", by, labelled, INTERVALS, persons([clip.clip for clip in labelled])
    )
    assert json.dumps(mixed.metrics) == json.dumps(alone.metrics)
    assert mixed.stored["clips"] == len(labelled)
    got, expected = mixed.files(), alone.files()
    assert got["metrics.json"] == expected["metrics.json"]
    for name in OF_LABELS:
        assert got[name] == expected[name], name
    if boxes:
        assert mixed.scorers() == alone.scorers() if "absent" not in alone.metrics["frame"] else True

    names = sorted(name.removeprefix("test/") for name in without)
    for name in ("frames.csv", "clips.csv", "plots/curves.csv"):
        table = mixed.csv(name)
        assert sorted(table["clip"].unique()) == sorted(clip.name for clip in mixed.clips)
    rows = mixed.csv("clips.csv").set_index("clip").loc[names]
    assert rows["anomalous_frames"].isna().all()
    assert rows["auc"].isna().all()
    assert rows["score_max"].notna().all()
    for name in names:
        assert f"Clip {name}  frames" in got["frames.txt"].decode()
        assert f"heatmaps/clip_{name}.png" in got
    marked = [row[0] for row in mixed.cells("## Clips")[2:] if "not labelled" in row]
    assert sorted(name.replace("¦", "|") for name in marked) == names
    assert f"Clips that are not labelled: {len(names)} of {len(clips)}. They are scored" in mixed.markdown
    assert "not labelled" not in alone.markdown
    assert set(mixed.events["clip"]) >= set(alone.events["clip"])
    line = without_labels(mixed.clips)
    assert line.startswith(f"clips that are not labelled: {len(names)} of {len(clips)}, for example ")
    assert without_labels(alone.clips) is None


def test_footage_without_any_label_is_counted_as_a_whole(frame_inputs, tmp_path):
    clips = [replace(clip, labelled=False) for clip in CLIPS]
    report = Report(frame_inputs, tmp_path / "report", clips=clips)
    assert report.stored["clips"] == 4
    table = report.csv("frames.csv")
    assert report.metrics["anomaly_rate"] == pytest.approx(table["alarm"].mean(), rel=1e-5)
    assert report.csv("cameras.csv")["clips"].tolist() == [2, 2]
    assert "not labelled" not in report.markdown.replace("no test clip is labelled", "")
    assert without_labels(report.clips) is None
    assert set(TABLES) <= set(report.files())
