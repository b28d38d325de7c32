"""Plot data compared with counts and scikit-learn, and the templates of `dvc plots`."""

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from dvc_render.vega import VegaRenderer
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad.evaluation import plots
from vad.evaluation.scored_clip import ScoredClip

RNG = np.random.default_rng(0)
TEMPLATES = Path(__file__).resolve().parents[2] / ".dvc/plots"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MAIN, OTHER = "#945dd6", "#13adc7"  # colours that DVC gives to the first and the second revision


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels of both classes, scores with many ties, and a threshold among, above or below them."""
    n = draw(st.integers(2, 40))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(y.any() and not y.all())
    s = draw(st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=n, max_size=n))
    return y, np.array(s, float), draw(st.sampled_from([-9.0, 0.0, 0.5, 2.0, 9.0]))


def alarms(y: np.ndarray, s: np.ndarray, threshold: float) -> tuple[int, int]:
    """Numbers of hits and false alarms."""
    pairs = [(label, score) for label, score in zip(y, s, strict=True) if score > threshold]
    return sum(bool(label) for label, _ in pairs), sum(not label for label, _ in pairs)


@given(ranked())
@settings(max_examples=50, deadline=None)
def test_the_roc_holds_the_operating_point(case):
    y, s, threshold = case
    table = plots.roc(y, s, threshold=threshold)
    assert list(table) == ["fpr", "tpr", "point"]
    hits, false = alarms(y, s, threshold)
    (row,) = table[table["point"] == 1].itertuples()
    assert (row.fpr, row.tpr) == pytest.approx((false / (~y).sum(), hits / y.sum()), abs=1e-6)
    assert table.iloc[[0, -1], :2].to_numpy().tolist() == [[0, 0], [1, 1]]
    for axis in ("fpr", "tpr"):
        assert table[axis].is_monotonic_increasing
    assert not table.duplicated(["fpr", "tpr"]).any()
    for curve in (table, plots.roc(y, s)):  # the point does not change the line
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-5)


@given(ranked())
@settings(max_examples=50, deadline=None)
def test_each_row_is_precision_and_recall_at_some_threshold(case):
    y, s, threshold = case
    table = plots.precision_recall(y, s, threshold)
    assert list(table) == ["recall", "precision", "point"]
    possible = {(0.0, 1.0)}  # nothing alarmed
    for cut in [-np.inf, *s]:
        hits, false = alarms(y, s, cut)
        possible.add((hits / y.sum(), hits / (hits + false)) if hits + false else (0.0, 1.0))
    for row in table.itertuples():
        assert any((row.recall, row.precision) == pytest.approx(pair, abs=1e-6) for pair in possible)
    hits, false = alarms(y, s, threshold)
    (row,) = table[table["point"] == 1].itertuples()
    assert row.recall == pytest.approx(hits / y.sum(), abs=1e-6)
    assert row.precision == pytest.approx(hits / (hits + false) if hits + false else 1.0, abs=1e-6)
    assert tuple(table.iloc[0])[:2] == (0, 1)
    assert tuple(table.iloc[-1])[:2] == pytest.approx((1, y.mean()), abs=1e-6)
    steps = np.diff(table["recall"]) * table["precision"].iloc[1:]
    assert steps.sum() == pytest.approx(sk.average_precision_score(y, s), abs=1e-4)


def test_curves_with_operating_point_by_hand():
    y, s = np.array([0, 1, 0, 1], bool), np.array([1.0, 2.0, 3.0, 4.0])
    assert plots.roc(y, s, threshold=2.0).to_numpy().tolist() == [
        [0, 0, 0],
        [0, 0.5, 0],
        [0.5, 0.5, 1],  # above, not at: 3 and 4
        [0.5, 1, 0],
        [1, 1, 0],
    ]
    assert plots.precision_recall(y, s, 2.0).round(3).to_numpy().tolist() == [
        [0, 1, 0],
        [0.5, 1, 0],
        [0.5, 0.5, 1],
        [1, 0.667, 0],
        [1, 0.5, 0],
    ]


@pytest.mark.parametrize("threshold", [-1.0, 0.31234567, 0.9, 2.0])
def test_long_curves_are_thinned_but_keep_the_operating_point(threshold):
    y = RNG.random(20000) < 0.3
    s = RNG.random(20000) + 0.2 * y
    share = ((s > threshold) & y).sum() / y.sum()
    for curve, axis in (
        (plots.roc(y, s, threshold=threshold), "tpr"),
        (plots.precision_recall(y, s, threshold), "recall"),
    ):
        assert 400 < len(curve) <= 500
        assert curve[curve["point"] == 1][axis].tolist() == [pytest.approx(share, abs=1e-6)]
    steps = np.diff(curve["recall"]) * curve["precision"].iloc[1:]
    assert steps.sum() == pytest.approx(sk.average_precision_score(y, s), abs=0.01)


def test_rocs_of_several_scorers_share_a_table():
    y = RNG.random(300) < 0.4
    scorers = {"model": y + RNG.random(300), "random": RNG.random(300), "time": np.arange(300.0)}
    table = plots.rocs(y, scorers, 1.2)
    assert list(table) == ["scorer", "fpr", "tpr", "point"]
    assert table["scorer"].unique().tolist() == list(scorers)
    assert table[table["point"] == 1]["scorer"].tolist() == ["model"]
    for name, scores in scorers.items():
        curve = table[table["scorer"] == name]
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(
            sk.roc_auc_score(y, scores), abs=1e-5
        )


def clip(name: str, scores: list | np.ndarray, anomalous: list | np.ndarray | None, subject="") -> ScoredClip:
    """A test clip with only what plots need; all its regions belong to the subject."""
    n = len(scores)
    given = {
        "clip": f"test/{name}",
        "subject": subject,
        "scores": np.asarray(scores, float),
        "seconds": np.arange(n) / 10,
        "source_frames": 3 * np.arange(n),
        "anomalous": None if anomalous is None else np.asarray(anomalous, bool),
        "regions": SimpleNamespace(table=pd.DataFrame({"person": [subject]})),
    }
    return ScoredClip(**{field.name: given.get(field.name) for field in fields(ScoredClip)})


CLIPS = [
    clip("a", [1, 2, 3, 4], [0, 1, 0, 1], "ben"),
    clip("b", [9, 9, 0], [1, 1, 1], "anna"),
    clip("c", [5, 1], [0, 0], "anna"),
    clip("d", [7, 7, 7], None, "anna"),
    clip("e", [7, 7, 8], None),
]
TRIVIAL = {"random": [np.zeros(4), np.ones(3), np.zeros(2)]}


def test_groups_without_an_auc_have_no_row():
    table = plots.auc_by_group(
        "group", {"first": CLIPS[:1], "anna": CLIPS[1:4], "normal": CLIPS[2:], "none": []}
    )
    assert table.to_dict("list") == {"group": ["first", "anna"], "auc": [0.75, pytest.approx(2 / 3)]}


def test_plot_data_of_all_clips():
    got = plots.plot_data(CLIPS, TRIVIAL, 2.5)
    assert list(got) == ["roc", "pr", "histogram", "clip_auc", "subject_auc"]
    y, s = [0, 1, 0, 1, 1, 1, 1, 0, 0], [1, 2, 3, 4, 9, 9, 0, 5, 1]
    pd.testing.assert_frame_equal(got["pr"], plots.precision_recall(np.array(y, bool), np.array(s), 2.5))
    for name, scores in (("model", s), ("random", [0, 0, 0, 0, 1, 1, 1, 0, 0])):
        curve = got["roc"][got["roc"]["scorer"] == name]
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(
            sk.roc_auc_score(y, scores), abs=1e-5
        )
    counts = got["histogram"].groupby("cls")["count"].sum()
    assert counts.to_dict() == {"anomalous": 5, "normal": 4}
    assert got["clip_auc"].to_numpy().tolist() == [["a", 0.75]]
    assert got["subject_auc"].to_dict("list") == {
        "subject": ["anna", "ben"],
        "auc": [pytest.approx(2 / 3), 0.75],
    }


@pytest.mark.parametrize(("chosen", "frames"), [(CLIPS[3:], 6), (CLIPS[2:], 2), (CLIPS[1:2], 3)])
def test_without_both_classes_only_the_histogram_has_rows(chosen, frames):
    got = plots.plot_data(chosen, {}, 2.5)
    assert got["histogram"]["count"].sum() == frames
    assert {name: list(table) for name, table in got.items() if table.empty} == {
        "roc": ["scorer", "fpr", "tpr", "point"],
        "pr": ["recall", "precision", "point"],
        "clip_auc": ["clip", "auc"],
        "subject_auc": ["subject", "auc"],
    }


def noisy(name: str, runs: list[tuple[int, int]] | None, length: int = 101, subject="anna") -> ScoredClip:
    labels = np.zeros(length, bool)
    for start, end in runs or []:
        labels[start:end] = True
    return clip(name, RNG.normal(size=length) + 2 * labels, None if runs is None else labels, subject)


def charts(shift: float) -> dict[str, tuple[str, str, pd.DataFrame]]:
    """Template -> x, y and table, as in dvc.yaml, of clips with 1, 2 and no runs of anomalous frames."""
    clips = [noisy("a", [(20, 40)]), noisy("b", [(0, 10), (90, 101)]), noisy("c", None, 60)]
    trivial = {"random": [RNG.random(101) for _ in range(2)], "time": [np.arange(101.0)] * 2}
    data = plots.plot_data(clips, trivial, 1.0 + shift)
    return {
        "anomaly_curves": ("frame", "score", plots.score_curves(clips, 1.0 + shift, 500)),
        "roc": ("fpr", "tpr", data["roc"]),
        "pr": ("recall", "precision", data["pr"]),
        "error_histogram": ("bin_start", "count", data["histogram"]),
        "clip_bars": ("auc", "clip", data["clip_auc"]),
    }


def fill(template: str, x: str, y: str, revisions: dict[str, pd.DataFrame]) -> dict:
    """The chart as DVC makes it: values are text, and `rev` is the revision."""
    rows = [
        dict(zip(table, map(str, row), strict=True)) | {"rev": revision}
        for revision, table in revisions.items()
        for row in table.astype(object).where(table.notna(), "").itertuples(index=False)
    ]
    where = {"template": template, "template_dir": str(TEMPLATES)}
    return VegaRenderer(rows, template, **where, x=x, y=y, title="A chart").get_filled_template()


@pytest.fixture(scope="module")
def specs() -> dict[str, dict]:
    """Every chart of two revisions."""
    main, other = charts(0.0), charts(0.5)
    return {
        name: fill(name, x, y, {"main": table, "other": other[name][2]})
        for name, (x, y, table) in main.items()
    }


@pytest.mark.parametrize("name", ["anomaly_curves", "roc", "pr", "error_histogram", "clip_bars"])
def test_templates_use_only_columns_that_exist(specs, name):
    spec = specs[name]
    text = json.dumps({key: part for key, part in spec.items() if key != "data"})
    assert "DVC_METRIC" not in text
    used = set(re.findall(r'"(?:field|groupby)": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    used |= set(re.findall(r"datum\['(\w+)'\]", text))
    computed = set(re.findall(r'"as": "(\w+)"', text)) | {"rev", "chance"}
    assert used - computed <= set(spec["data"]["values"][0])


Layers = dict[str, list[dict[str, str]]]


def drawn(charts: list[dict], folder: Path) -> list[Layers]:
    """What Chromium draws of each chart: by layer the attributes of its shapes."""
    script = "".join(
        f"new vega.View(vega.parse(vegaLite.compile({json.dumps(chart)}).spec)).toSVG()"
        f".then(svg => document.getElementById('chart{i}').innerHTML = svg);"
        for i, chart in enumerate(charts)
    )
    divs = "".join(f'<div id="chart{i}"></div>' for i in range(len(charts)))
    page = (TEMPLATES / "offline.html").read_text("utf-8")
    page = page.replace("{refresh_tag}", "").replace("{plot_divs}", f"{divs}<script>{script}</script>")
    (folder / "page.html").write_text(page, "utf-8")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    command = [CHROMIUM, *quiet, f"--user-data-dir={folder / 'chromium'}", (folder / "page.html").as_uri()]
    html = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120).stdout
    return [_layers(chart) for chart in html.split('<div id="chart')[-len(charts) :]]


def _layers(chart: str) -> Layers:
    layers: Layers = {}
    for layer, shapes in re.findall(r'<g class="mark-\w+ role-mark (\w+)_marks"[^>]*>(.*?)</g>', chart):
        tags = re.findall(r"<(?:path|line|text)[^>]*>", shapes)
        layers.setdefault(layer, []).extend(dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in tags)
    return layers


def styles(shapes: list[dict[str, str]], *names: str) -> Counter:
    return Counter(tuple(shape.get(name) for name in names) for shape in shapes)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_chromium_draws_the_lines_points_and_colours_of_each_chart(specs, tmp_path):
    old = plots.roc(np.array([0, 1, 0, 1], bool), np.arange(4.0))  # without scorer and point, as in old runs
    mixed = fill("roc", "fpr", "tpr", {"main": charts(0.0)["roc"][2], "old": old})
    curves, roc, pr, histogram, bars, mixed = drawn([*specs.values(), mixed], tmp_path)

    shaded = [re.findall(r"\d+", shape["aria-label"]) for shape in curves["child_layer_0"]]
    assert sorted(shaded) == [["0", "30"], ["270", "300"], ["60", "120"]]  # every third frame of the source
    assert styles(curves["child_layer_1"], "stroke") == {(MAIN,): 3, (OTHER,): 3}
    assert styles(curves["child_layer_2"], "stroke", "stroke-dasharray") == {
        (MAIN, "5,3"): 3,
        (OTHER, "5,3"): 3,
    }

    # scorers that learn nothing are gray, of each revision
    for chart, revisions in ((roc, 2), (mixed, 1)):
        assert styles(chart["layer_1"], "stroke", "stroke-dasharray", "stroke-width") == {
            ("#888888", dash, "1"): revisions for dash in ("1,3", "4,3")
        }
        assert styles(chart["layer_2"], "stroke", "stroke-width") == {(MAIN, "2.2"): 1, (OTHER, "2.2"): 1}
    points = {"roc": roc["layer_3"], "pr": pr["layer_2"], "mixed": mixed["layer_3"]}
    assert [styles(points[name], "fill") for name in ("roc", "pr", "mixed")] == [
        {(MAIN,): 1, (OTHER,): 1},
        {(MAIN,): 1, (OTHER,): 1},
        {(MAIN,): 1},
    ]
    for name, (x, y) in (("roc", ("fpr", "tpr")), ("pr", ("recall", "precision"))):
        rows = [row for row in specs[name]["data"]["values"] if row["point"] == "1"]
        expected = [[row["rev"], *(f"{float(row[axis]):.3f}" for axis in (x, y))] for row in rows]
        labels = [
            dict(part.split(": ") for part in shape["aria-label"].split("; ")) for shape in points[name]
        ]
        assert [[label["rev"], label[x], label[y]] for label in labels] == expected
    assert styles(pr["layer_0"], "stroke-dasharray") == {("4,3",): 2}

    assert styles(histogram["child_layer_2"], "stroke") == {(MAIN,): 2, (OTHER,): 2}
    assert styles(bars["layer_0"], "fill") == {(MAIN,): 2, (OTHER,): 2}
    assert len(bars["layer_1"]) == 4  # the figures beside them


def heights(shapes: list[dict[str, str]]) -> dict[str, float]:
    """How far each line reaches from top to bottom, in pixels, by colour; the widest of a colour."""
    out: dict[str, float] = {}
    for shape in shapes:
        y = [float(point.split(",")[1]) for point in re.findall(r"-?[\d.]+,-?[\d.]+", shape["d"])]
        out[shape["stroke"]] = max(out.get(shape["stroke"], 0.0), max(y) - min(y))
    return out


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_revision_with_values_a_thousand_times_as_high_flattens_no_other(tmp_path):
    table = charts(0.0)["anomaly_curves"][2]
    history = pd.DataFrame({"fold": 0, "epoch": range(5), "train_loss": [0.5, 0.3, 0.2, 0.15, 0.1]})
    scaled = table.assign(score=1000 * table["score"], threshold=1000 * table["threshold"])
    filled = []
    for other in (table, scaled):
        revisions = {"main": table, "other": other, "third": table}
        filled.append(fill("anomaly_curves", "frame", "score", revisions))
    for factor in (1, 1000):
        losses = dict.fromkeys(("main", "third"), history)
        losses["other"] = history.assign(train_loss=factor * history["train_loss"])
        filled.append(fill("loss", "epoch", "train_loss", losses))
    alike, curves, same, loss = drawn(filled, tmp_path)
    for beside_equals, beside_outlier in (
        (alike["child_layer_1"], curves["child_layer_1"]),
        (same["layer_0_layer_0"], loss["layer_0_layer_0"]),
    ):
        before, after = heights(beside_equals)[MAIN], heights(beside_outlier)[MAIN]
        assert before > 50  # pixels
        assert after > before / 6
    assert len(loss["layer_1"]) == 5  # a triangle for each value that is cut off
    assert len(same.get("layer_1", [])) == 0
