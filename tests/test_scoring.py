"""Windows to errors, errors to scores: regions, frames, what is normal, and the threshold."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError, clip_errors, evaluation, grid, inference, models, scoring, store
from vad.clips import Clip
from vad.identity import Identity
from vad.inference import ScoreParams
from vad.models import Autoencoder, conv2d
from vad.scoring import CalibrateParams, Calibration, ClipErrors

RNG = np.random.default_rng(0)
BRANCH = "error_reconstruction"


def own(window: int = 1, channels: int = 1) -> conv2d.Params:
    return conv2d.Params(
        window=window, step=1, position="middle", objective="reconstruct", channels=[channels]
    )


def of_windows(model: Autoencoder, windows: np.ndarray, reduce: str) -> np.ndarray:
    return inference.reduce_errors(inference.pixel_errors(model, windows)["reconstruction"], reduce)


def clip(errors, frames: int | None = None, at=None, name="val/a", stride=1) -> ClipErrors:
    """A clip with a region per frame, or with regions in the frames `at`, all of them the whole frame."""
    at = np.arange(len(errors)) if at is None else np.asarray(at, int)
    table = pd.DataFrame({"frame": at, "region": np.arange(len(errors)), "track": 0, BRANCH: errors})
    table = table.assign(x0=0, y0=0, x1=8, y1=6)
    return ClipErrors(name, len(errors) if frames is None else frames, stride, (6, 8), table)


def how(percentile=95.0, regions="max", top_k=1) -> CalibrateParams:
    return CalibrateParams(percentile=percentile, regions=regions, top_k=top_k)


def calibrated(*errors, percentile=95.0) -> Calibration:
    return scoring.calibrate([clip(e) for e in errors], how(percentile))


floats = st.floats(0, 1, width=32).map(lambda x: round(x, 4))


@given(st.lists(floats, min_size=5, max_size=60), st.lists(floats, min_size=2, max_size=60))
def test_scores_keep_the_order_of_errors(normal, errors):
    """Ranks, ties included, are those of the errors: calibration changes no AUC."""
    if not np.quantile(normal, 0.95) > np.median(normal):
        with pytest.raises(UserError, match="no scale"):
            calibrated(np.array(normal))
        return
    scores = calibrated(np.array(normal)).scores(clip(np.array(errors)).table)
    ranks = np.unique(scores, return_inverse=True)[1]
    assert ranks.tolist() == np.unique(np.array(errors), return_inverse=True)[1].tolist()


def test_median_is_0_and_the_95th_percentile_is_1():
    normal = RNG.gamma(2, 1, 1001)
    calibration = calibrated(normal[:400], normal[400:])  # clips count by their frames
    median, high = np.median(normal), np.percentile(normal, 95)
    scores = calibration.scores(clip(np.array([median, high, 2 * high - median])).table)
    np.testing.assert_allclose(scores, [0, 1, 2], atol=1e-12)
    assert calibration.frames == 1001


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9])
def test_the_threshold_leaves_so_many_normal_frames_below(percentile):
    clips = [clip(RNG.gamma(2, 1, n)) for n in (300, 700)]
    calibration = scoring.calibrate(clips, how(percentile))
    scores = np.concatenate([calibration.frame_scores(c) for c in clips])
    assert calibration.threshold == pytest.approx(np.percentile(scores, percentile))
    assert (scores > calibration.threshold).mean() == pytest.approx(1 - percentile / 100, abs=1.1e-3)


def test_it_is_frames_that_count_not_windows():
    """Two windows in a frame: the higher one is the frame's; frames between strides count as well."""
    errors, at = np.array([1.0, 5.0, 2.0]), np.array([0, 0, 4])
    calibration = scoring.calibrate([clip(errors, 8, at, stride=4)], how(50))
    frames = [5, 5, 5, 2, 2, 2, 2, 2]
    assert calibration.frames == 8
    assert calibration.branches == {BRANCH: {"median": 2.0, "q95": np.quantile(frames, 0.95)}}


def test_branches_are_calibrated_each_and_then_added():
    table = clip(RNG.random(50)).table.assign(error_motion=1000 * RNG.random(50))
    found = ClipErrors("val/a", 50, 1, (6, 8), table)
    both = scoring.calibrate([found], how(90.0))
    assert set(both.branches) == {BRANCH, "error_motion"}
    one = calibrated(table[BRANCH].to_numpy(), percentile=90.0).scores(table)
    other = Calibration({"error_motion": both.branches["error_motion"]}, 0, 90, 0, 1).scores(table)
    np.testing.assert_allclose(both.scores(table), one + other)
    np.testing.assert_allclose(both.frame_scores(found), one + other)  # a region per frame
    with pytest.raises(UserError, match=r"lack the branches \['error_motion'\]"):
        both.scores(table.drop(columns="error_motion"))


@pytest.mark.parametrize(("errors", "message"), [((), "no validation clips"), (([3, 3, 3],), "no scale")])
def test_what_cannot_be_calibrated_is_refused(errors, message):
    with pytest.raises(UserError, match=message):
        calibrated(*errors)


def test_a_calibration_comes_back_as_it_was(tmp_path):
    calibration = calibrated(RNG.random(40))
    for name in ("a", "b"):
        calibration.save(tmp_path / f"{name}.json")
    assert Calibration.load(tmp_path / "a.json") == calibration
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"threshold": 1}', '{"branches"'])
def test_a_broken_calibration_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json: .*dvc repro"):
        Calibration.load(tmp_path / "calibration.json")


class Half(Autoencoder):
    """Makes half of what it gets, so that the error is known: (x / 2)²."""

    name = "half"

    def __init__(self, channels: int = 1, window: int = 1):
        super().__init__(own(window), (channels, window, 8, 8), ["gray"])

    def forward(self, x):
        return x / 2


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("shape", [(5, 1, 1, 8, 8), (2, 3, 4, 8, 8)])
def test_the_error_of_a_window_is_that_of_its_pixels(reduce, shape):
    windows = RNG.integers(0, 256, shape, np.uint8)
    pixels = ((windows / 255 / 2) ** 2).mean(1).reshape(len(windows), -1)
    got = of_windows(Half(*shape[1:3]), windows, reduce)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, getattr(pixels, reduce)(1), rtol=1e-5)


def tensors(folder: Path, windows: int = 7, boxes: pd.DataFrame | None = None, name="a") -> tuple[Path, Path]:
    """Stems of tensors and regions: `windows` windows of two planes each, one at every second frame."""
    card = {"frames": 14, "window": 2, "windows": windows, "stride": 2, "channels": ["gray"]}
    card |= {"step": 1, "position": "middle"}
    planes = RNG.integers(0, 256, (windows + 1 if windows else 0, 1, 8, 8), np.uint8)
    store.write_array(folder / "tensors" / name, planes, **card, fit="stretch", frame=[32, 40])
    n = np.arange(windows)
    rows = {"frame": 2 * n, "region": 2 * n + 1, "track": 0 * n, "plane_0": n, "plane_1": n + 1}
    store.write_table(folder / "tensors" / name, pd.DataFrame(rows).astype(np.int32))
    if boxes is None:  # two in a frame, the second of which has a window
        boxes = pd.DataFrame({"frame": np.repeat(2 * n, 2)}).assign(x0=0, y0=0, x1=40, y1=32)
        boxes.loc[boxes.index % 2 == 0, "x1"] = 1
    store.write_table(folder / "regions" / name, boxes.astype(np.int32))
    return folder / "tensors" / name, folder / "regions" / name


def score(folder: Path, stems: tuple[Path, Path], name="a", **given) -> ClipErrors:
    """The errors of a clip, written to the folder `errors` and read back."""
    asked = {"reduce": "mean", "batch_size": 64, "maps": False, "map_step": 4} | given
    threads = torch.get_num_threads()
    try:
        out = folder / "errors" / name
        clip_errors.score_clip(out, *stems, Half(1, 2), ScoreParams(**asked), threads=1)
    finally:
        torch.set_num_threads(threads)
    (found,) = scoring.read_errors(folder / "errors", [name])
    return found


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_a_clip_is_scored_whatever_the_batch(tmp_path, batch_size, maps):
    stems = tensors(tmp_path)
    found = score(tmp_path, stems, batch_size=batch_size, maps=maps)
    planes = (store.open_array(stems[0])[0] / 255 / 2) ** 2
    expected = np.array([planes[i : i + 2].mean() for i in range(7)])
    np.testing.assert_allclose(found.table[BRANCH], expected, rtol=1e-5)
    assert found.table["frame"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert found.table[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 0, 40, 32]] * 7
    assert (found.frames, found.stride, found.size) == (14, 2, (32, 40))
    assert found.whole().all()
    frames = found.per_frame(found.table[BRANCH])
    np.testing.assert_allclose(frames[:4], expected[[0, 0, 1, 1]], rtol=1e-5)
    assert len(frames) == 14
    assert Path(f"{tmp_path}/errors/a.maps.npy").exists() == maps


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_maps_show_the_frame_that_a_window_belongs_to(tmp_path, reduce):
    """The first of two frames, pixel by pixel: 5 x 4 pixels of the frame to one of the tensor."""
    stems = tensors(tmp_path)
    score(tmp_path, stems, maps=True, map_step=1, reduce=reduce)
    maps, card = store.open_array(tmp_path / "errors/a.maps")
    assert (maps.shape, maps.dtype) == ((14, 32, 40), np.float16)
    assert (card["step"], card["frame"]) == (1, [32, 40])
    planes = (store.open_array(stems[0])[0][:7, 0] / 255 / 2) ** 2
    expected = np.kron(planes, np.ones((1, 4, 5)))
    np.testing.assert_allclose(maps, expected[np.repeat(np.arange(7), 2)], rtol=2e-3, atol=1e-6)


def test_tensors_of_other_regions_are_refused(tmp_path):
    for boxes in ({"frame": [0, 0, 2]}, {"frame": np.arange(14)}):
        stems = tensors(tmp_path, boxes=pd.DataFrame(boxes).assign(x0=0, y0=0, x1=40, y1=32))
        with pytest.raises(UserError, match=r"tensors/a was not made of .*regions/a.*dvc repro resize"):
            score(tmp_path, stems)


def test_a_clip_without_regions_goes_all_the_way(tmp_path):
    """Scored, calibrated with and evaluated; its frames have the lowest score there is."""
    found = []
    for name, windows in (("val/full", 7), ("val/empty", 0), ("test/full", 7), ("test/empty", 0)):
        found.append(score(tmp_path, tensors(tmp_path, windows, name=name), name, maps=True))
        maps, _ = store.open_array(tmp_path / f"errors/{name}.maps")
        assert maps.shape == (14, 8, 10)
        assert maps.any() == bool(windows)
    full, empty = found[0].table, found[1].table
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert set(full.dtypes.astype(str)) == {"int32", "float32"}

    calibration = scoring.calibrate(found[:2], how(50.0))
    assert calibration.branches == scoring.calibrate(found[:1], how(50.0)).branches
    assert calibration.frames == 28
    lowest = -calibration.branches[BRANCH]["median"] / (
        calibration.branches[BRANCH]["q95"] - calibration.branches[BRANCH]["median"]
    )
    seen = calibration.frame_scores(found[0])
    assert calibration.threshold == pytest.approx(np.percentile([*seen, *[lowest] * 14], 50))

    for one in found[2:]:
        times = pd.DataFrame({"source_frame": np.arange(14), "seconds": np.arange(14) / 10})
        store.write_table(tmp_path / "frames" / one.clip, times)
    more = {"first": 0, "end": 14, "frames": 14, "fps": 10.0, "width": 40, "height": 32, "hash": "h"}
    tested = [
        Clip(one.clip, "test", "camera", "", f"{one.clip}.mp4", labelled=True, **more) for one in found[2:]
    ]
    labels = {"test/full": [(4, 9)]}
    nobody = Identity({}, {})
    scored = evaluation.score_clips(tested, labels, tmp_path / "frames", found[2:], calibration, nobody)
    np.testing.assert_allclose(scored[1].scores, [lowest] * 14, rtol=1e-6)
    assert (scored[1].scores < scored[0].scores.min()).all()
    assert not scored[1].errors.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_no_number_is_refused_with_clip_and_frame(tmp_path, value):
    errors = np.array([0.1, 0.2, value, 0.4], np.float32)
    store.write_table(tmp_path / "test/a", clip(errors, at=[0, 3, 6, 9]).table)
    store.write_json(tmp_path / "test/a.json", {"frames": 12, "stride": 3, "frame": [6, 8]})
    with pytest.raises(UserError, match=r"clip 'test/a': the error of frame 6 .*train\.learning_rate"):
        scoring.read_errors(tmp_path, ["test/a"])


@given(st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_scores_of_one_window_do_not_depend_on_its_neighbours(n, at):
    """What live use relies on: a window scored alone has the score that it has in a batch."""
    torch.manual_seed(0)
    model = models.create("conv2d", own(channels=4), (1, 1, 16, 16)).eval()
    windows = np.random.default_rng(n).integers(0, 256, (n + at, 1, 1, 16, 16), np.uint8)
    together = of_windows(model, windows, "mean")
    alone = of_windows(model, windows[at : at + 1], "mean")
    np.testing.assert_allclose(together[at : at + 1], alone, rtol=1e-4)


def test_errors_of_an_earlier_version_are_refused(tmp_path):
    store.write_table(tmp_path / "test/a", clip([0.1]).table)
    store.write_json(tmp_path / "test/a.json", {"frames": 12})
    with pytest.raises(UserError, match=r"test/a\.json: lacks frame, stride; run `dvc repro score`"):
        scoring.read_errors(tmp_path, ["test/a"])


@given(st.integers(1, 60), st.integers(1, 70))
def test_every_frame_has_the_nearest_of_the_grid_the_earlier_of_two(frames, stride):
    on_grid = range(0, frames, stride)
    expected = [min(on_grid, key=lambda f: (abs(f - t), f)) // stride for t in range(frames)]
    assert grid.nearest(frames, stride).tolist() == expected


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 0, 2, 2, 4, 4, 6]), (3, [0, 0, 3, 3, 3, 6, 6]), (9, [0] * 7)],
)
def test_frames_between_strides_take_the_nearest_the_earlier_of_two(stride, expected):
    at = np.arange(0, 7, stride)
    assert clip(at.astype(float), 7, at, stride=stride).per_frame(at).tolist() == expected


@st.composite
def regions(draw: st.DrawFn) -> tuple[int, int, list[int], list[float]]:
    """(frames, stride, the frame of each region in their order, its error): several in a frame, or none."""
    frames, stride = draw(st.integers(1, 25)), draw(st.integers(1, 6))
    of_frame = [draw(st.lists(floats, max_size=5)) for _ in range(0, frames, stride)]
    at = [k * stride for k, own in enumerate(of_frame) for _ in own]
    return frames, stride, at, [error for own in of_frame for error in own]


def slowly(frames: int, stride: int, at: list[int], errors: list[float], top_k: int) -> list[float]:
    """The definition, word by word."""
    out = []
    for t in range(frames):
        nearest = min(range(0, frames, stride), key=lambda f: (abs(f - t), f))
        own = sorted((e for f, e in zip(at, errors, strict=True) if f == nearest), reverse=True)[:top_k]
        out.append(sum(own) / len(own) if own else 0.0)
    return out


@given(regions(), st.sampled_from([("max", 3), ("mean_top", 1), ("mean_top", 2), ("mean_top", 4)]))
def test_frame_scores_are_those_of_the_definition(case, asked):
    frames, stride, at, errors = case
    found = clip(np.array(errors, float), frames, at, stride=stride)
    k = 1 if asked[0] == "max" else asked[1]
    expected = np.array(slowly(*case, k))
    np.testing.assert_allclose(found.per_frame(errors, k), expected, rtol=1e-12)
    counts = [sum(g * stride == f for f in at) for g in grid.nearest(frames, stride)]
    assert found.counts().tolist() == counts

    seen = expected[found.counts() > 0]
    if not len(seen) or not np.quantile(seen, 0.95) > np.median(seen):
        with pytest.raises(UserError, match="no scale" if len(seen) else "nothing was found in any of the 1"):
            scoring.calibrate([found], how(70.0, *asked))
        return
    calibration = scoring.calibrate([found], how(70.0, *asked))
    scores = (expected - np.median(seen)) / (np.quantile(seen, 0.95) - np.median(seen))
    np.testing.assert_allclose(calibration.frame_scores(found), scores, rtol=1e-9, atol=1e-9)
    assert calibration.threshold == pytest.approx(np.percentile(scores, 70), rel=1e-9, abs=1e-9)
    assert (calibration.frames, calibration.top_k) == (frames, k)
    assert (calibration.frame_scores(found)[found.counts() == 0] <= scores.min()).all()


@given(regions())
def test_a_frame_is_not_less_anomalous_for_one_region_more(case):
    """Of `max` alone; with `mean_top` somebody normal may lower it, as its docs say."""
    frames, stride, at, errors = case
    values = [
        clip(np.array(errors[:n]), frames, at[:n], stride=stride).per_frame(errors[:n])
        for n in range(len(errors) + 1)
    ]
    assert all((after >= before).all() for before, after in pairwise(values))


def test_with_fewer_than_k_regions_those_there_are_count():
    """Somebody alone is on the scale of a crowd, not a k-th of it."""
    errors, at = np.array([6.0, 1.0, 2.0, 3.0]), [0, 1, 1, 1]
    assert clip(errors, 3, at).per_frame(errors, 3).tolist() == [6.0, 2.0, 0.0]


def test_branches_meet_in_the_frame_not_in_the_region():
    """One region looks odd, another moves oddly: the frame has both."""
    found = clip(np.array([1.0, 0.0]), 1, [0, 0])
    found.table["error_motion"] = [0.0, 10.0]
    normal = {BRANCH: {"median": 0.0, "q95": 1.0}, "error_motion": {"median": 0.0, "q95": 5.0}}
    calibration = Calibration(normal, 0.0, 99.0, 1, 1)
    assert calibration.scores(found.table).tolist() == [1.0, 2.0]
    assert calibration.frame_scores(found).tolist() == [3.0]


def test_scores_are_those_of_single_precision_errors_to_the_bit():
    """What the sample's results were committed with."""
    errors = RNG.gamma(2, 1e-3, 500).astype(np.float32)
    calibration = calibrated(errors)
    normal = calibration.branches[BRANCH]
    expected = (errors - np.float32(normal["median"])) / np.float32(normal["q95"] - normal["median"])
    scores = calibration.frame_scores(clip(errors))
    assert scores.dtype == np.float64
    assert scores.tolist() == expected.astype(float).tolist()
    assert scores.tolist() == calibration.scores(clip(errors).table).tolist()


def test_thousands_of_regions_a_frame_are_no_trouble():
    at = np.repeat(np.arange(200), 1000)
    errors = RNG.random(len(at)).astype(np.float32)
    expected = np.sort(errors.reshape(200, 1000), 1)[:, -5:].astype(float).mean(1)
    np.testing.assert_allclose(clip(errors, 200, at).per_frame(errors, 5), expected, rtol=1e-6)


def test_the_size_of_cells_matters_only_where_maps_are_made():
    """So that changing it scores no clip again without need."""

    def active(maps: bool, step: int) -> dict:
        return ScoreParams(reduce="mean", batch_size=64, maps=maps, map_step=step).active()

    assert active(False, 4) == active(False, 8)
    assert len({str(active(*asked)) for asked in ((False, 4), (True, 4), (True, 8))}) == 3
