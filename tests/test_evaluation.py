"""What a run leaves on paper: figures, tables, plot data, the picture, and the summary."""

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad import UserError, clips, evaluation, metrics, plots, scoring, store, summary
from vad.clips import Clip
from vad.identity import Identity
from vad.metrics import EvaluateParams, Scored
from vad.scoring import Calibration, ClipErrors

RNG = np.random.default_rng(0)
PARAMS = EvaluateParams(identity="identity.csv", seed=0, histogram_bins=10, plot_points=50)
CALIBRATION = Calibration({"error_reconstruction": {"median": 1.0, "q95": 2.0}}, 0.75, 99.0, 500, 1)
NOBODY = Identity({}, {})
INTERVALS = {"test/fall": [(20, 40), (60, 70)], "test/late": [(110, 120)]}


def manifest_clip(name: str, frames: int, labelled: bool, camera: str, subject: str) -> Clip:
    more = {"width": 8, "height": 8, "hash": "h", "fps": 10.0, "source": f"{name}.mp4"}
    return Clip(
        clip=name,
        split="test",
        camera=camera,
        subject=subject,
        first=0,
        end=frames,
        labelled=labelled,
        frames=frames,
        **more,
    )


CLIPS = [
    manifest_clip("test/fall", 100, True, "01", "007"),
    manifest_clip("test/late", 240, True, "01", "ä b"),  # extracted at half its rate
    manifest_clip("test/walk", 30, True, "02", "007"),
    manifest_clip("test/new|er", 40, False, "02", ""),
]


def write_inputs(folder: Path, clips_: list[Clip] = CLIPS) -> None:
    """Errors and frame times as score and extract would have left them."""
    rng = np.random.default_rng(1)
    for clip in clips_:
        step = 2 if clip.clip == "test/late" else 1
        source = np.arange(0, clip.frames, step)
        anomalous = clips.frame_labels(INTERVALS.get(clip.clip, []), source)
        errors = rng.gamma(4, 0.25, len(source)) + anomalous
        times = pd.DataFrame({"source_frame": source, "seconds": source / 10})
        store.write_table(folder / "frames" / clip.clip, times)
        table = pd.DataFrame({"frame": np.arange(len(source)), "region": 0, "track": 0})
        table = table.assign(x0=0, y0=0, x1=8, y1=8, error_reconstruction=errors.astype(np.float32))
        store.write_table(folder / "errors" / clip.clip, table)
        card = {"frames": len(source), "stride": 1, "frame": [8, 8], "hash": "h"}
        store.write_json(folder / f"errors/{clip.clip}.json", card)


def scored(
    folder: Path,
    chosen: list[Clip] = CLIPS,
    labels: dict[str, clips.Intervals] = INTERVALS,
    calibration: Calibration = CALIBRATION,
    who: Identity = NOBODY,
) -> list[Scored]:
    errors = scoring.read_errors(folder / "errors", [clip.clip for clip in chosen])
    return evaluation.score_clips(chosen, labels, folder / "frames", errors, calibration, who)


class Paper:
    """Everything that evaluate and summarize write about some clips."""

    def __init__(
        self, inputs: Path, folder: Path, chosen: list[Clip] = CLIPS, who: Identity = NOBODY, **skipped: str
    ):
        self.clips = scored(inputs, chosen, who=who)
        self.result = evaluation.evaluate(self.clips, CALIBRATION, PARAMS)
        self.folder = folder
        evaluation.write(folder, self.clips, CALIBRATION, PARAMS, self.result)
        stored = store.read_json(folder / "metrics.json")  # as the next stage gets it
        self.metrics = summary.metrics(stored)
        self.markdown = summary.markdown(stored, folder, skipped)

    def csv(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name, dtype={"clip": str, "subject": str, "camera": str})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def paper(inputs, tmp_path_factory) -> Paper:
    return Paper(inputs, tmp_path_factory.mktemp("paper") / "evaluation", **{"test/lost": "it is empty"})


FILES = ["clips.csv", "curves.png", "frames.csv", "metrics.json", "plots/clip_auc.csv", "plots/curves.csv"]
FILES += ["plots/histogram.csv", "plots/roc.csv", "subjects.csv"]


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_files(paper):
    assert sorted(files(paper.folder)) == sorted(FILES)


def test_the_same_inputs_give_the_same_bytes_over_what_was_there(inputs, paper, tmp_path):
    again = tmp_path / "again"
    (again / "plots").mkdir(parents=True)
    (again / "plots/stray.csv").write_text("of an earlier run")
    same = Paper(inputs, again, **{"test/lost": "it is empty"})
    assert files(again) == files(paper.folder)
    assert same.markdown == paper.markdown


def test_labels_meet_frames_by_the_source_s_numbers(inputs):
    late = scored(inputs)[1]
    assert len(late.scores) == 120
    assert late.source_frames[late.anomalous].tolist() == [110, 112, 114, 116, 118]


def test_every_frame_is_there_once(inputs, paper):
    table = paper.csv("frames.csv")
    assert len(table) == 100 + 120 + 30 + 40
    assert not table.duplicated(["clip", "frame"]).any()
    for clip in paper.clips:
        own = table[table["clip"] == clip.clip.removeprefix("test/")]
        assert own["frame"].tolist() == list(range(len(clip.scores)))
        errors = store.read_table(inputs / "errors" / clip.clip)["error_reconstruction"]
        np.testing.assert_allclose(own["score"], errors.astype(float) - 1.0, atol=1e-6)  # as calibrated above
        assert own["alarm"].tolist() == [int(e - 1 > 0.75) for e in errors]
        assert own["source_frame"].tolist() == clip.source_frames.tolist()
        if clip.anomalous is None:
            assert own["anomalous"].isna().all()
        else:
            assert own["anomalous"].tolist() == clip.anomalous.tolist()


def test_figures_can_be_computed_anew_from_the_frames(paper):
    """Everything in metrics.json follows from frames.csv, which people can open."""
    table = paper.csv("frames.csv").dropna()
    frame = paper.result["frame"]
    y, s = table["anomalous"], table["score"]
    assert frame["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s))
    assert frame["average_precision"] == pytest.approx(sk.average_precision_score(y, s))
    assert frame["f1"] == pytest.approx(sk.f1_score(y, table["alarm"]))
    two = [table[table["clip"] == name] for name in ("fall", "late")]
    each = [sk.roc_auc_score(own["anomalous"], own["score"]) for own in two]
    assert frame["auc_macro"] == pytest.approx(np.mean(each))
    assert (frame["clips_in_macro"], frame["clips_with_one_class"]) == (2, 1)
    assert paper.result["anomaly_rate"] == pytest.approx(paper.csv("frames.csv")["alarm"].mean())
    assert paper.result["baseline"]["time"]["auc_micro"] == pytest.approx(
        sk.roc_auc_score(y, table["seconds"])
    )
    assert set(paper.result["baseline"]) == {"random", "time"}
    assert paper.result["clips"] == 4
    auc = paper.csv("plots/clip_auc.csv")
    assert auc["clip"].tolist() == ["fall", "late"]
    np.testing.assert_allclose(auc["auc"], each, atol=1e-6)


def test_labels_a_frame_off_are_noticed(inputs):
    def auc(by: int) -> float:
        moved = {clip: [(a + by, b + by) for a, b in own] for clip, own in INTERVALS.items()}
        return evaluation.evaluate(scored(inputs, labels=moved), CALIBRATION, PARAMS)["frame"]["auc_micro"]

    assert auc(0) > max(auc(-2), auc(2))


def test_tables_per_clip_and_subject(paper):
    table = paper.csv("clips.csv")
    assert table["clip"].tolist() == ["fall", "late", "walk", "new|er"]
    assert table["frames"].tolist() == [100, 120, 30, 40]
    assert table["anomalous_frames"].fillna(-1).tolist() == [30, 5, 0, -1]
    assert table["auc"].isna().tolist() == [False, False, True, True]
    assert table["camera"].tolist() == ["01", "01", "02", "02"]
    subjects = paper.csv("subjects.csv").set_index("subject")
    assert subjects["clips"].to_dict() == {"007": 2, "ä b": 1, "(not given)": 1}
    both = np.concatenate([paper.clips[i].errors for i in (0, 2)])
    assert subjects.loc["007", "error_mean"] == pytest.approx(both.mean())
    assert subjects.loc["007", "error_std"] == pytest.approx(both.std())
    rate = np.concatenate([paper.clips[i].scores > 0.75 for i in (0, 2)]).mean()
    assert subjects.loc["007", "anomaly_rate"] == pytest.approx(rate)


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
            assert set(own["label"]) <= {0, 1}
            assert own["label"].max() == clip.anomalous.max()


@given(st.integers(1, 300), st.integers(50, 120))
def test_a_thin_curve_holds_the_highest_of_each_run(length, points):
    scores = np.random.default_rng(length).random(length).round(4)
    regions = ClipErrors("test/a", length, 1, (8, 8), pd.DataFrame())
    clip = Scored("test/a", "", "", scores, scores, scores, np.arange(length) * 3, scores > 0.9, regions)
    table = plots.curves([clip], 0.5, points)
    assert len(table) <= points
    step = -(-length // points)
    runs = [scores[i : i + step] for i in range(0, length, step)]
    assert table["score"].tolist() == [run.max() for run in runs]
    assert table["label"].tolist() == [float((run > 0.9).any()) for run in runs]
    assert table["frame"].tolist() == list(range(0, 3 * length, 3 * step))


def test_the_histogram_counts_every_labelled_frame(paper):
    table = paper.csv("plots/histogram.csv")
    labelled = [clip for clip in paper.clips if clip.anomalous is not None]
    y = np.concatenate([clip.anomalous for clip in labelled])
    assert table.groupby("cls")["count"].sum().to_dict() == {"normal": (~y).sum(), "anomalous": y.sum()}
    assert len(table) == 2 * PARAMS.histogram_bins
    own = table[table["cls"] == "normal"]
    assert (own["bin_end"].to_numpy()[:-1] == own["bin_start"].to_numpy()[1:]).all()


def test_the_roc_has_the_area_that_is_printed(paper):
    table = paper.csv("plots/roc.csv")
    assert table.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    area = np.trapezoid(table["tpr"], table["fpr"])
    assert area == pytest.approx(paper.result["frame"]["auc_micro"], abs=1e-4)


def test_a_long_roc_is_thinned_but_whole():
    y = RNG.random(20000) < 0.3
    s = RNG.random(20000) + 0.2 * y
    table = plots.roc(y, s)
    assert len(table) <= 500
    assert table.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert np.trapezoid(table["tpr"], table["fpr"]) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-3)


def test_the_picture_is_one(paper):
    picture = matplotlib.image.imread(paper.folder / "curves.png")
    assert picture.shape[0] > 100
    assert picture[..., :3].std() > 0.05  # something is drawn


def rows(markdown: str, title: str) -> list[list[str]]:
    """The cells of the table below a title."""
    part = markdown.partition(title)[2].strip().partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in part]


def test_the_summary_is_a_page(paper):
    text, frame = paper.markdown, paper.result["frame"]
    head = rows(text, "(1 have one).")
    assert head[2] == ["**autoencoder**", *(f"{frame[k]:.4f}" for k in summary._HEADLINE)]
    assert [row[0] for row in head[3:]] == ["random (knows nothing)", "time (knows nothing)"]
    assert head[4][1] == f"{paper.result['baseline']['time']['auc_micro']:.4f}"
    assert "250 test frames in 4 clips, 35 of them labelled anomalous" in text
    assert "- `test/lost`: it is empty" in text
    table = rows(text, "## Clips")
    assert [row[0] for row in table[2:]] == ["fall", "late", "walk", "new¦er"]
    assert {len(row) for row in table} == {len(table[0])}
    assert table[2][table[0].index("AUC")] == f"{paper.csv('clips.csv')['auc'][0]:.4f}"
    assert table[4][table[0].index("AUC")] == ""
    assert [row[0] for row in rows(text, "## Subjects")[2:]] == ["(not given)", "007", "ä b"]


def test_the_summary_names_cameras_as_they_are(paper):
    table = rows(paper.markdown, "## Clips")
    assert [row[table[0].index("camera")] for row in table[2:]] == ["01", "01", "02", "02"]


def test_the_summary_counts_in_whole_frames(paper):
    table = rows(paper.markdown, "## Clips")
    assert [row[table[0].index("anomalous")] for row in table[2:]] == ["30", "5", "0", ""]


def test_a_summary_without_skipped_clips_says_so(paper):
    text = summary.markdown(paper.result, paper.folder, {})
    assert text.partition("## Skipped clips")[2].strip() == "None."


def leaves(value: Any) -> list[Any]:
    return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [value]


def test_git_keeps_few_rounded_figures(paper):
    kept = paper.metrics
    own = {"clips", "subjects", "frame", "baseline", "threshold", "anomaly_rate", "reconstruction_error"}
    assert set(kept) == own
    assert kept["subjects"] == 2
    assert kept["frame"]["auc_micro"] == float(f"{paper.result['frame']['auc_micro']:.6g}")
    assert len(leaves(kept)) < 25
    assert all(isinstance(leaf, (int, float)) for leaf in leaves(kept))
    assert json.loads(json.dumps(kept)) == kept


def test_the_log_line_sets_the_model_beside_the_trivial_scorers(paper):
    line = evaluation.headline(paper.result)
    assert f"frame AUC micro {paper.result['frame']['auc_micro']:.4f}" in line
    assert "random 0." in line
    assert "time 0." in line


@pytest.mark.parametrize(
    ("chosen", "why"),
    [(CLIPS[3:], "no test clip is labelled"), (CLIPS[2:], "all labelled frames are normal")],
)
def test_without_labels_of_both_classes_all_else_is_there(inputs, tmp_path, chosen, why):
    paper = Paper(inputs, tmp_path / "evaluation", chosen)
    assert sorted(files(paper.folder)) == sorted(FILES)
    assert paper.metrics["frame"]["absent"] == why
    assert "auc_micro" not in paper.metrics["frame"]
    assert paper.metrics["baseline"] == {}
    assert f"No frame-level metrics: {why}." in paper.markdown
    assert evaluation.headline(paper.result).startswith(f"no frame-level AUC: {why}; anomaly rate 0.")
    assert list(paper.csv("plots/clip_auc.csv").columns) == ["clip", "auc"]
    frames = sum(len(c.scores) for c in paper.clips if c.anomalous is not None or len(chosen) == 1)
    assert paper.csv("plots/histogram.csv")["count"].sum() == frames
    assert [row[0] for row in rows(paper.markdown, "## Clips")[2:]][-1] == "new¦er"


def test_errors_of_another_number_of_frames_are_refused(tmp_path):
    write_inputs(tmp_path, CLIPS[:1])
    store.write_table(tmp_path / "frames/test/fall", pd.DataFrame({"source_frame": [0], "seconds": [0.0]}))
    with pytest.raises(UserError, match=r"'test/fall': errors of 100 frames, but 1 were extracted"):
        scored(tmp_path, CLIPS[:1])


def test_no_test_clips_are_refused():
    with pytest.raises(UserError, match=r"no test clips are left .*skipped\.csv"):
        evaluation.evaluate([], CALIBRATION, PARAMS)


def test_calibration_s_threshold_is_the_one_that_alarms(inputs):
    """The same errors, calibrated by themselves: what lies above the percentile is alarmed."""
    found = scoring.read_errors(inputs / "errors", ["test/walk"])
    how = scoring.CalibrateParams(percentile=90.0, regions="max", top_k=1)
    calibration = scoring.calibrate(found, how)
    (walk,) = scored(inputs, CLIPS[2:3], calibration=calibration)
    assert metrics.row([walk], calibration.threshold)["anomaly_rate"] == pytest.approx(0.1)


def write_boxes(folder: Path, stride: int = 2) -> None:
    """The same clips with boxes of people: in `fall` three tracks and some of none, in `walk` nobody."""
    write_inputs(folder)
    rng = np.random.default_rng(2)
    for clip in CLIPS:
        card = store.read_json(folder / f"errors/{clip.clip}.json") | {"stride": stride}
        store.write_json(folder / f"errors/{clip.clip}.json", card)
        rows = [
            (frame, track)
            for frame in range(0, card["frames"], stride)
            for track in ([0, 1, 7, -1] if clip.clip == "test/fall" else [4])
            if clip.clip != "test/walk" and rng.random() < 0.6
        ]
        table = pd.DataFrame(rows, columns=["frame", "track"]).astype(np.int32)
        errors = rng.gamma(4, 0.25, len(rows)).astype(np.float32)
        table = table.assign(region=0, x0=1, y0=0, x1=8, y1=8, error_reconstruction=errors)
        store.write_table(folder / "errors" / clip.clip, table)


WHO = Identity({"test/new|er": "eve"}, {"test/fall": {0: "ä b", 7: "eve"}})


@pytest.fixture(scope="module")
def boxes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    write_boxes(folder)
    return folder


@pytest.fixture(scope="module")
def crops(boxes, tmp_path_factory) -> Paper:
    return Paper(boxes, tmp_path_factory.mktemp("crops") / "evaluation", who=WHO)


def test_tracks_have_a_table_of_their_own(boxes, crops):
    assert sorted(files(crops.folder)) == sorted([*FILES, "tracks.csv"])
    table = crops.csv("tracks.csv")
    assert list(table.columns[:6]) == ["clip", "track", "person", "first_frame", "last_frame", "frames"]
    assert list(table.columns[6:9]) == ["score_mean", "score_max", "anomaly_rate"]
    assert list(table.columns[9:]) == ["error_mean", "error_std"]
    names = ["fall", "fall", "fall", "late", "new|er"]
    assert list(zip(table["clip"], table["track"], strict=True)) == list(
        zip(names, [0, 1, 7, 4, 4], strict=True)
    )
    assert table["person"].fillna("").tolist() == ["ä b", "007", "eve", "ä b", "eve"]
    own = store.read_table(boxes / "errors/test/fall").query("track == 7")
    errors = own["error_reconstruction"].astype(float)
    row = table.iloc[2]
    assert (row["first_frame"], row["last_frame"], row["frames"]) == (
        own["frame"].min(),
        own["frame"].max(),
        len(own),
    )
    assert row["score_mean"] == pytest.approx(errors.mean() - 1, rel=1e-5)
    assert row["anomaly_rate"] == pytest.approx((errors - 1 > 0.75).mean())
    assert row["error_std"] == pytest.approx(errors.std(ddof=0), rel=1e-5)


def test_rates_per_person_count_his_regions_alone(boxes, crops):
    subjects = crops.csv("subjects.csv").set_index("subject")
    # walk is the subject's, with every frame; of fall what nobody else has; nobody is left without a name
    assert subjects["clips"].to_dict() == {"007": 2, "eve": 2, "ä b": 2}
    table = store.read_table(boxes / "errors/test/fall")
    at = np.minimum(np.arange(100) // 2, 49) * 2  # the earlier of the two nearest
    rest = table[table["track"].isin([1, -1])].groupby("frame")["error_reconstruction"].max()
    scores = [float(rest[t]) - 1 for t in at if t in rest.index] + [-1.0] * 30
    assert subjects.loc["007", "frames"] == len(scores)
    assert subjects.loc["007", "anomaly_rate"] == pytest.approx(np.mean(np.array(scores) > 0.75))
    assert subjects.loc["007", "error_mean"] == pytest.approx(np.mean(scores) + 1, rel=1e-5)
    labels = clips.frame_labels(INTERVALS["test/fall"], np.arange(100))[[t in rest.index for t in at]]
    assert subjects.loc["007", "auc"] == pytest.approx(
        sk.roc_auc_score([*labels, *[0] * 30], scores), abs=1e-6
    )
    late = store.read_table(boxes / "errors/test/late")  # whole, hence with its empty frames
    own = table[table["track"] == 0]["frame"].nunique()
    assert subjects.loc["ä b", "frames"] == 2 * own + 120
    assert len(late) < 60
    assert crops.csv("clips.csv")["subject"].fillna("").tolist() == ["007", "ä b", "007", "eve"]
    assert crops.metrics["subjects"] == 3


def test_a_frame_without_regions_has_the_lowest_score(crops):
    table = crops.csv("frames.csv")
    assert (table[table["clip"] == "walk"]["score"] == -1.0).all()
    assert table["score"].min() == -1.0
    assert table[table["score"] == -1.0]["error"].max() == 0


def test_the_summary_says_how_much_there_was_to_see(boxes, crops, paper):
    counts = []
    for clip in crops.clips:
        per_frame = store.read_table(boxes / "errors" / clip.clip)["frame"].value_counts()
        counts += [per_frame.get(t - t % 2, 0) for t in range(len(clip.scores))]
    expected = {"per_frame": np.mean(counts), "frames_without": counts.count(0), "tracks": 5}
    assert crops.result["regions"] == pytest.approx(expected)
    assert crops.metrics["regions"]["frames_without"] == counts.count(0)
    assert f"\n{np.mean(counts):.2f} regions per frame on average; {counts.count(0)} frames" in crops.markdown
    assert "5 tracks, one by one in tracks.csv." in crops.markdown
    assert "regions per frame" not in paper.markdown
    assert "regions" not in paper.result


def test_boxes_without_tracks_make_no_table_of_them(boxes, tmp_path):
    paper = Paper(boxes, tmp_path / "evaluation", CLIPS[2:3])
    assert sorted(files(paper.folder)) == sorted(FILES)
    assert "No tracks." in paper.markdown


def test_persons_of_whole_clips(inputs, tmp_path):
    """Frames as regions: the file gives clips to people, and takes none from the manifest's."""
    paper = Paper(
        inputs, tmp_path / "evaluation", who=Identity({"test/late": "007", "test/new|er": "eve"}, {})
    )
    subjects = paper.csv("subjects.csv").set_index("subject")
    assert subjects["clips"].to_dict() == {"007": 3, "eve": 1}
    assert subjects["frames"].to_dict() == {"007": 250, "eve": 40}
    own = np.concatenate([clip.scores for clip in paper.clips[:3]])
    assert subjects.loc["007", "anomaly_rate"] == pytest.approx((own > 0.75).mean())
