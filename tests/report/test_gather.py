"""What the page says, compared with the files that it is made from."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.report.made_footage import FPS, FRAMES
from tests.report.made_run import CLIPS, EVIDENCE, HOSTILE, Made, MadeRun, labels_of, make_run, md5sum
from vad.report import page
from vad.report.contents import CURVE, Clip, Contents
from vad.scoring.scores import read_scores
from vad.store.zones import read_zones


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """A run with labelled clips and one that is not labelled."""
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def contents(run: MadeRun) -> Contents:
    return run.contents()


def paths(value: Any) -> Iterator[str]:
    """All paths of pictures, videos and data in the contents."""
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k in {"picture", "data", "video", "reconstruction"} and v)
        for v in value.values():
            yield from paths(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from paths(v)


def clip_of(contents: Contents, name: str) -> Clip:
    return next(clip for clip in contents.clips if clip.name == name)


def test_clips_have_their_scores_events_and_labels(run: MadeRun, contents: Contents) -> None:
    assert [clip.id for clip in contents.clips] == sorted(CLIPS)
    for clip in contents.clips:
        made, scores = CLIPS[clip.id], read_scores(run.sources.scores / clip.id)
        assert clip.frames == FRAMES
        assert clip.seconds == pytest.approx(FRAMES / FPS)
        assert clip.highest == scores.scores.max()
        assert clip.peak == scores.scores.argmax() / FPS
        assert (clip.camera, clip.subject) == (made.camera, made.subject)
        assert clip.alarmed == pytest.approx((scores.scores > contents.threshold).mean())
        assert len(clip.curve) <= CURVE
        assert max(clip.curve) == pytest.approx(clip.highest, rel=1e-3)
        assert (clip.labels is None) == (made.labels is None)
        if made.labels is not None:
            expected = [((a - 3) / FPS, (b - 3) / FPS) for a, b in made.labels]
            np.testing.assert_allclose(clip.labels, expected)
        assert len(clip.events) == len(made.alarmed)
        for number, (event, (start, end)) in enumerate(zip(clip.events, made.alarmed, strict=True), 1):
            assert event.number == number
            # smoothing moves borders by a frame at most
            assert event.start == pytest.approx(start / FPS, abs=1.5 / FPS)
            assert event.end == pytest.approx(end / FPS, abs=1.5 / FPS)
            assert event.start <= event.peak < event.end
            assert event.frame == round(event.peak * FPS) + 3
            assert sum(event.shares.values()) == pytest.approx(1)
            expected_label = None if made.labels is None else bool(labels_of(made)[start:end].any())
            assert event.labelled == expected_label
            assert event.where
            assert event.picture == f"media/{clip.id}.{round(event.peak * FPS)}.jpg"


def test_all_files_are_there(run: MadeRun, contents: Contents) -> None:
    named = set(paths(asdict(contents)))
    assert len(named) >= 12
    for path in named:
        assert (run.page / path).stat().st_size > 100
    there = {path.relative_to(run.page).as_posix() for path in (run.page / "media").rglob("*.*")}
    assert there == named  # nothing is drawn in vain


def test_galleries_have_the_highest_first_and_all_mistakes(contents: Contents) -> None:
    assert [m.kind for m in contents.anomalous] == ["event"] * 3 + ["highest"] * 2
    events = sorted((event.score for clip in contents.clips for event in clip.events), reverse=True)
    assert [m.score for m in contents.anomalous[:3]] == events
    assert {(m.clip, m.kind) for m in contents.mistakes} == {
        ("test/fall", "false alarm"),
        ("test/lost", "missed"),
    }
    missed = next(m for m in contents.mistakes if m.kind == "missed")
    assert (missed.start, missed.end) == pytest.approx((1.0, 2.0))
    assert missed.start <= missed.seconds < missed.end
    assert missed.score <= missed.threshold == contents.threshold
    first, second = contents.left_out
    assert sum(first.shares.values()) == pytest.approx(1)  # by the calibration to all clips
    assert set(first.shares) <= set(contents.branches)
    assert (first.clip, first.frame, first.score, first.threshold) == ("train/a", 25, 2.5, 0.7)
    assert (first.seconds, first.start, first.end) == pytest.approx((2.2, 2.0, 2.5))
    assert second.score == 1.8
    assert all(m.picture for m in (*contents.anomalous, *contents.mistakes, *contents.left_out))


def test_a_gallery_has_as_many_pictures_as_asked_for(run: MadeRun) -> None:
    contents = run.contents(moments=1)
    assert [len(g) for g in (contents.anomalous, contents.mistakes, contents.left_out)] == [1, 1, 1]


def test_tables_are_those_of_the_evaluation(run: MadeRun, contents: Contents) -> None:
    cameras = pd.read_csv(run.sources.evaluation / "cameras.csv")
    assert [group.name for group in contents.by_camera] == cameras["camera"].tolist() == ["hall", "yard"]
    assert [group.frames for group in contents.by_camera] == cameras["frames"].tolist()
    # the clip without labels counts in neither
    assert [(group.events, group.clips) for group in contents.by_camera] == [(2, 2), (0, 1)]
    assert [group.hours for group in contents.by_camera] == pytest.approx([8 / 3600, 4 / 3600])
    assert {group.name for group in contents.by_person} == {HOSTILE, "(not given)"}
    assert [group.events for group in contents.by_person] == [None, None]
    edges, normal, anomalous = contents.histogram
    assert len(edges) == len(normal) + 1 == len(anomalous) + 1
    assert (sum(normal), sum(anomalous)) == (100, 20)
    assert contents.roc[0].name == "model"
    assert [curve.emphasis for curve in contents.roc].count(True) == 1
    training, validation = contents.losses
    assert training.y == [3.0, 2.0]  # the fold that stopped counts with its last loss
    assert validation.y == [3.0, 2.0]
    assert contents.scorers is not None
    assert contents.check is None
    assert contents.skipped == [("test/broken", f"cannot be read: {HOSTILE}")]


def test_cameras_have_heights_zones_and_a_picture(contents: Contents) -> None:
    hall, yard = contents.cameras
    assert (hall.name, hall.size, hall.height_near, hall.origin) == ("hall", (96, 160), 60, "fit")
    assert [(kind, name) for kind, name, _ in hall.zones] == [("ignore", "clock")]
    assert (yard.name, yard.zones, yard.origin) == ("yard", [], "default")
    # of normal footage if there is some
    assert hall.picture == "media/train/a.20.plain.jpg"
    assert yard.picture == "media/test/lost.20.plain.jpg"


def test_the_summary_says_what_was_found_and_what_to_expect(contents: Contents) -> None:
    assert contents.summary[0] == "3 events in 16.0 s of footage, 4 clips from 2 cameras."
    assert contents.summary[1].startswith(
        "1 of 2 labelled anomalies were found, with 1 false alarm in 10.0 s"
    )
    assert "1 clip of 4, without labels, does not count" in contents.summary[1]
    assert "The threshold rests on 30 minutes of normal footage in 2 clips." in contents.summary[2]
    assert (
        "Expect 12 to 1,234 false alarms per day (1 per day asked for), that is one every 1.17 minutes to "
        "2.00 hours: " in contents.summary[2]
    )
    assert contents.warning.startswith("The threshold rests on 30 minutes of 2 clips: expect frequent alarms")
    highest = max((e.score, c.name) for c in contents.clips for e in c.events)
    assert highest[1] in contents.advice[0]
    assert any("Longest events outside labelled anomalies" in sentence for sentence in contents.advice)
    assert not any("`" in sentence or sentence.startswith("-") for sentence in contents.advice)


def test_the_trace_has_the_hashes_that_are_in_dvc_lock(run: MadeRun, contents: Contents) -> None:
    at = run.sources
    assert contents.trace.hashes == [
        (p.as_posix(), md5sum(p)) for p in (at.manifest, at.labels, at.calibration)
    ]
    versions = dict(contents.trace.versions)
    weights = md5sum(at.autoencoder / "1/weights.safetensors")
    assert versions["weights of the autoencoder, fold 1"] == weights
    assert versions["preprocess.person_crop.onnx.weights, SHA-256"] == "ab" * 32
    expected = {"extract.fps": "null", "extract.color": "gray", "model.conv2d.channels": "[4, 8]"}
    expected |= {"report.videos": "none", "evaluate.resamples": "100", "calibrate.events.merge_gap": "0.5"}
    assert expected.items() <= contents.trace.parameters.items()


def test_the_page_is_the_same_for_the_same_run(run: MadeRun, contents: Contents) -> None:
    page.write(run.page, contents)
    before = {name: (run.page / name).read_bytes() for name in ("index.html", "data.js")}
    page.write(run.page, run.contents())
    assert {name: (run.page / name).read_bytes() for name in before} == before
    text = b"".join(before.values()).decode()
    assert HOSTILE not in text
    for word in (tempfile.gettempdir(), str(Path(__file__).resolve().parents[2]), str(run.page)):
        assert word not in text.replace(str(run.sources.manifest.parents[1]), "")


def without_labels() -> dict[str, Made]:
    return {clip: replace(made, labels=None) for clip, made in CLIPS.items()}


def test_without_labels_there_is_as_much_to_see(tmp_path: Path) -> None:
    contents = make_run(tmp_path, without_labels()).contents()
    assert not contents.labelled
    assert contents.mistakes == []
    assert contents.point is None
    assert contents.roc == contents.precision_recall == []
    assert contents.scorers is None
    assert all(clip.labels is None and clip.auc is None for clip in contents.clips)
    assert [m.kind for m in contents.anomalous] == ["event"] * 3 + ["highest"] * 2
    assert len(contents.left_out) == 2
    assert "No clip is labelled" in contents.summary[1]
    assert "% of the time is alarmed" in contents.summary[1]
    assert {figure.name for figure in contents.figures} == {"Alarmed", "Threshold", "Delay of live scores"}
    assert contents.by_camera[1].events == 1
    assert sum(contents.histogram[1]) == 4 * FRAMES
    page.write(tmp_path / "page", contents)


def test_a_single_clip_without_an_event_makes_a_page(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"test/a": Made([], None)}, evidence=None)
    contents = run.contents()
    assert contents.summary[0] == "No event in 4.00 s of footage, 1 clip from 1 camera."
    assert contents.advice[0].startswith("No event. The highest score, ")
    assert contents.warning == ""
    assert contents.by_camera == contents.by_person == contents.left_out == []
    assert [m.kind for m in contents.anomalous] == ["highest"]
    page.write(tmp_path / "page", contents)


def test_what_the_threshold_could_not_be_compared_with_is_said(tmp_path: Path) -> None:
    evidence = replace(EVIDENCE, left_out=0, worst="", alarms=())
    contents = make_run(tmp_path, {"test/a": Made([(5, 9)], None)}, evidence).contents()
    assert "How it does on other footage is not known" in contents.summary[2]
    assert [note.partition(" that")[0] for note in contents.notes] == ["If nothing"]  # a zone, no figures


def test_videos_are_of_the_clips_that_were_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    videos = {c.name: c.video for c in run.contents(videos="events").clips}
    assert {name for name, video in videos.items() if video} == {"fall", "lost", "new"}
    assert videos["fall"] == "media/test/fall.mp4"
    clip = clip_of(run.contents(videos="all"), "walk")
    assert clip.video == "media/test/walk.mp4"
    assert clip.size[0] % 2 == clip.size[1] % 2 == 0


def test_a_hotspot_comes_with_a_zone_that_can_be_pasted(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = run.sources.evaluation / "hotspots.csv"
    table = pd.read_csv(path)
    row = {"camera": "hall", "x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4, "seconds": 9.0, "time_share": 0.7}
    pd.concat([table, pd.DataFrame([row | {"events": 5, "clips": 2}])]).to_csv(path, index=False)
    contents = run.contents()
    sentence, *lines = contents.notes[0].splitlines()
    assert sentence.startswith(
        "70 % of the alarmed time of camera hall comes from the same 4.0 % of its picture"
    )
    (tmp_path / "zones.yaml").write_text("\n".join(lines), "utf-8")
    (zone,) = read_zones(tmp_path / "zones.yaml").of("hall").zones
    assert zone.polygon == ((0.1, 0.2), (0.3, 0.2), (0.3, 0.4), (0.1, 0.4))
    assert "The notes below have a zone to paste" in contents.advice[-1]
    assert not any("polygon" in sentence or "70 %" in sentence for sentence in contents.advice)
