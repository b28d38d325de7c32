"""Metrics of pixels, compared with counts and figures over a list of all pixels."""

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad import UserError
from vad.evaluation.pixel_metrics import PixelLevel, cell_counts

RNG = np.random.default_rng(0)


@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(1, 7),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_a_pixel_counts_in_the_cell_that_contains_its_centre(source, frame, step, seed):
    mask = np.random.default_rng(seed).random(source) < 0.4
    shape = [-(-side // step) for side in frame]
    expected, expected_total = np.zeros(shape, int), np.zeros(shape, int)
    for y, x in np.ndindex(source):
        at = tuple(
            int((i + Fraction(1, 2)) * to / of / step)
            for i, to, of in zip((y, x), frame, source, strict=True)
        )
        expected_total[at] += 1
        expected[at] += mask[y, x]
    anomalous, total = cell_counts(mask, frame, step)
    assert anomalous.dtype == total.dtype == np.int64
    assert anomalous.tolist() == expected.tolist()
    assert total.tolist() == expected_total.tolist()
    assert (anomalous.sum(), total.sum()) == (mask.sum(), mask.size)


def test_cells_at_the_edge_are_cut_off():
    _, total = cell_counts(np.zeros((10, 14), bool), (10, 14), 4)
    assert total.tolist() == [[16, 16, 16, 8], [16, 16, 16, 8], [8, 8, 8, 4]]
    _, smaller = cell_counts(np.zeros((1, 2), bool), (10, 14), 4)  # centres at y 5; x 3.5, 10.5
    assert smaller.tolist() == [[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_masks_of_any_memory_order_are_counted():
    mask = RNG.random((24, 36)) < 0.3
    straight, _ = cell_counts(mask, (24, 36), 8)
    turned, _ = cell_counts(np.asfortranarray(mask), (24, 36), 8)
    mirrored, _ = cell_counts(mask[:, ::-1], (24, 36), 9)
    assert straight.tolist() == turned.tolist()
    assert mirrored[:, ::-1].tolist() == cell_counts(mask, (24, 36), 9)[0].tolist()


Frame = tuple[np.ndarray, np.ndarray, np.ndarray]
SCORES = [-3.0, -1e-6, -0.0, 0.0, 6e-8, 0.1, 0.1 + 1e-6, 0.10003662, 2.0, 2.001, 60000.0]


@st.composite
def frames(draw: st.DrawFn) -> list[Frame]:
    """Maps with many ties, and pixels in cells: anomalous and all, some cells without any."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    cells = rows * columns
    out = []
    for _ in range(draw(st.integers(1, 6))):
        scores = draw(st.lists(st.sampled_from(SCORES) | st.floats(-5, 5), min_size=cells, max_size=cells))
        total = np.array(draw(st.lists(st.integers(0, 6), min_size=cells, max_size=cells)))
        total[0] += 1
        share = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=cells, max_size=cells))
        share = np.array(share) * draw(st.integers(0, 1))
        arrays = np.array(scores), (total * share).astype(int), total
        out.append(tuple(a.reshape(rows, columns) for a in arrays))
    return out


def spelled_out(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of each pixel of a frame, float64 of the float16."""
    labels, scores = [], []
    for score, anomalous, total in zip(*(a.ravel() for a in frame), strict=True):
        labels += [True] * anomalous + [False] * (total - anomalous)
        scores += [float(np.float16(score))] * total
    return np.array(labels), np.array(scores)


def measured(cases: list[Frame], threshold: float = 0.5, percentile: float = 95) -> dict:
    level = PixelLevel(percentile)
    for case in cases:
        level.add(*case)
    return level.result(threshold)


@given(frames(), st.sampled_from(SCORES) | st.floats(-3, 3), st.sampled_from([5, 50, 62.5, 90, 95, 99.5]))
@settings(max_examples=60)
def test_figures_are_those_of_a_list_of_all_pixels(cases, threshold, percentile):
    got = measured(cases, threshold, percentile)
    pixels = [spelled_out(case) for case in cases]
    y, s = (np.concatenate(part) for part in zip(*pixels, strict=True))
    assert (got["frames"], got["pixels"], got["anomalous_pixels"]) == (len(cases), len(y), y.sum())
    assume(y.any() and not y.all())
    gap = s[y][:, None] - s[~y][None]
    assert got["auc"] == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean(), abs=1e-12)
    cuts = [np.percentile(scores, percentile, method="inverted_cdf") for _, scores in pixels]
    dynamic = np.concatenate([scores > cut for (_, scores), cut in zip(pixels, cuts, strict=True)])
    for prefix, flagged in (("", s > threshold), ("dynamic_", dynamic)):
        assert got[prefix + "recall"] == pytest.approx(sk.recall_score(y, flagged))
        assert got[prefix + "f1"] == pytest.approx(sk.f1_score(y, flagged))
        if flagged.any():
            assert got[prefix + "precision"] == pytest.approx(sk.precision_score(y, flagged))
        else:
            assert prefix + "precision" not in got
    assert all(type(value) in (int, float, str) for value in got.values())


@given(frames())
@settings(max_examples=60)
def test_mahadevan_s_figures_follow_their_definition(cases):
    """At each threshold: anomalous frames covered to 40 %, and normal frames with any flagged pixel."""
    pixels = [spelled_out(case) for case in cases]
    anomalous = [(y, s) for y, s in pixels if y.any()]
    normal = [(y, s) for y, s in pixels if not y.any()]
    assume(anomalous and normal)
    points = [(0.0, 0.0)]
    for cut in sorted({float(x) for _, s in pixels for x in s}, reverse=True):
        detected = [Fraction(int((s[y] >= cut).sum()), int(y.sum())) >= Fraction(2, 5) for y, s in anomalous]
        alarmed = [bool((s >= cut).any()) for _, s in normal]
        points.append((sum(alarmed) / len(normal), sum(detected) / len(anomalous)))
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))
    got = measured(cases)
    assert got["mahadevan_auc"] == pytest.approx(area, abs=1e-12)
    for (f0, d0), (f1, d1) in pairwise(points):
        if f0 <= 1 - d0 and f1 >= 1 - d1:  # on this segment false positives and misses cross
            share = (1 - d0 - f0) / ((1 - d0 - f0) + (f1 - 1 + d1))
            break
    assert got["mahadevan_eer"] == pytest.approx(f0 + share * (f1 - f0), abs=1e-12)


def cells(scores: list, anomalous: list, total: list) -> Frame:
    return np.array([scores], float), np.array([anomalous]), np.array([total])


@pytest.mark.parametrize(("covered", "highest"), [(3, 1.0), (4, 5.0)])
def test_an_anomalous_frame_counts_with_the_score_that_covers_40_percent(covered, highest):
    """A frame with 10 anomalous pixels, `covered` of them with score 5, the others 1; and a normal frame."""
    frame = cells([5, 1, 9], [covered, 10 - covered, 0], [covered, 10 - covered, 50])
    for maximum, auc in ((highest - 0.5, 1.0), (highest, 0.5), (highest + 0.5, 0.0)):
        got = measured([frame, cells([maximum, 0, 0], [0, 0, 0], [1, 5, 5])])
        assert got["mahadevan_auc"] == auc


def test_flagged_normal_pixels_of_anomalous_frames_do_not_affect_mahadevan_s_figures():
    normal = cells([0, 0], [0, 0], [4, 4])
    some, everything = ([cells([3, far], [4, 0], [4, 4]), normal] for far in (0, 3))
    exact, excessive = measured(some, 1), measured(everything, 1)
    assert exact["mahadevan_auc"] == excessive["mahadevan_auc"] == 1.0
    assert (exact["auc"], exact["f1"]) == (1.0, 1.0)
    assert (excessive["auc"], excessive["f1"]) == (1 - 0.5 * 4 / 12, 2 / 3)


def test_the_dynamic_threshold_is_a_percentile_of_each_frame():
    """The anomaly of the dim frame scores below all pixels of the bright frame: no threshold suits both."""
    bright = cells([100, 101, 109], [0, 0, 1], [10, 9, 1])
    dim = cells([0, 1, 9], [0, 0, 1], [10, 9, 1])
    got = measured([bright, dim], 50.0, 95)
    assert (got["dynamic_precision"], got["dynamic_recall"], got["dynamic_f1"]) == (1.0, 1.0, 1.0)
    assert (got["precision"], got["recall"]) == (1 / 20, 1 / 2)
    assert measured([bright, dim], 50.0, 94.9)["dynamic_f1"] == 1.0  # at most 95 % is at or below 101
    assert measured([bright, dim], 50.0, 95.1)["dynamic_recall"] == 0.0  # strictly above the maximum


def test_the_area_is_exact_over_all_numbers_of_float16():
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = RNG.permutation(values[np.isfinite(values)])
    y = RNG.random(len(values)) < 0.3
    got = measured([(values[None], y[None].astype(int), np.ones((1, len(y)), int))])
    assert got["auc"] == pytest.approx(sk.roc_auc_score(y, values.astype(float)), abs=1e-12)


def test_scores_that_are_equal_in_float16_tie():
    for low, high, auc in ((0.1, 0.1 + 1e-6, 0.5), (0.1, 0.1 + 1e-3, 1.0), (7e4, 9e4, 0.5), (-0.0, 0.0, 0.5)):
        assert measured([cells([low, high], [0, 1], [1, 1])])["auc"] == auc


def test_the_threshold_is_not_rounded():
    """In float16 both 0.10001 and the score are 0.10003662."""
    frame = cells([0.10003662, 0], [1, 0], [1, 1])
    assert measured([frame], 0.10001)["recall"] == 1.0
    assert measured([frame], float(np.float16(0.10003662)))["recall"] == 0.0  # above, not at
    assert measured([frame], 1e9)["recall"] == 0.0


def test_counts_of_many_pixels_do_not_overflow():
    got = measured([cells([1, 0], [10**10, 10**10], [10**10, 3 * 10**10])])
    assert got["auc"] == 0.75


@pytest.mark.parametrize(
    ("cases", "why"),
    [
        ([], "no test frame has a mask"),
        ([cells([1, 2], [0, 0], [3, 3])], "all pixels of the frames with masks are normal"),
        ([cells([1, 2], [3, 3], [3, 3])], "all pixels of the frames with masks are anomalous"),
    ],
)
def test_undefined_figures_are_absent_with_a_reason(cases, why):
    got = measured(cases)
    assert got["absent"] == why
    assert set(got) - {"absent"} == ({"frames", "pixels", "anomalous_pixels"} if cases else set())


def test_without_normal_frames_only_mahadevan_s_figures_are_absent():
    got = measured([cells([1, 2], [0, 3], [3, 3])])
    assert got["auc"] == 1.0
    assert got["absent"] == "no mahadevan_*: all frames with masks are anomalous"
    assert not {"mahadevan_auc", "mahadevan_eer"} & set(got)


def test_nan_is_refused():
    level = PixelLevel(95)
    level.add(*cells([0, 1], [0, 1], [1, 1]))
    with pytest.raises(UserError, match=r"labelled frame number 1 is NaN in 1 of 2 cells.*learning_rate"):
        level.add(*cells([np.nan, 1], [0, 1], [1, 1]))


def test_memory_does_not_grow_with_the_frames():
    level = PixelLevel(95)
    scores = RNG.random((30, 45)).astype(np.float16)
    anomalous, total = cell_counts(RNG.random((240, 360)) < 0.1, (240, 360), 8)
    level.add(scores, anomalous, total)
    tracemalloc.start()
    for _ in range(300):
        level.add(scores, anomalous, total)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100 * 300  # a number per frame; its map has 2700 bytes
