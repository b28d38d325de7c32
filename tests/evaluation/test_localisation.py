"""Score maps compared with masks, pixel by pixel, and the pictures of both."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from tests.evaluation import reports
from vad.drawing import heatmaps
from vad.evaluation.localisation import draw, locate
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip
from vad.footage import survey
from vad.footage.masks import convert
from vad.layouts.folder import Folder
from vad.scoring import calibration as calibration_module
from vad.scoring import events
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.filters import Gaussian, filtered
from vad.scoring.norms import Line
from vad.scoring.params import CalibrateParams
from vad.store import arrays
from vad.store.tables import BOX

SIZE, CELL, MAP = (12, 20), 4, (3, 5)  # of extracted frames, which have half the sides of the source
PARAMS = EvaluateParams(resamples=100, mask_percentile=80.0)
CALIBRATE = CalibrateParams(
    error_sigma=0.0,
    smooth={"median": 0.0, "gaussian": 0.0},
    threshold={"policy": "fixed", "percentile": 50.0},
    events={"merge_gap": 0.0},
)
NORMS = {"look": Line(1.0, 2.0), "move": Line(0.5, 1.0)}


def calibration(*branches: str, sigma: float = 0.0) -> Calibration:
    """`sigma` of errors in frames, of which there are ten per second."""
    norms = {branch: NORMS[branch] for branch in branches}
    params = CALIBRATE.model_copy(update={"error_sigma": sigma / 10})
    return Calibration(
        params,
        {"": norms},
        norms,
        {},
        1.0,
        0.6,
        frames=100,
        hours=1.0,
        lookahead=0,
        delay=0.0,
    )


def clip(name: str, labels, look=None, boxes=(), frames: int = 10, step: int = 2) -> ScoredClip:
    """A test clip of every `step`-th source frame. `look`: maps; `boxes`: (frame, x0, y0, x1, y1, error)."""
    table = pd.DataFrame(boxes, columns=["frame", "x0", "y0", "x1", "y1", "error_move"])
    table = table.astype(dict.fromkeys(BOX, int) | {"frame": int, "error_move": float}).assign(track=0)
    table = table if boxes else table.drop(columns="error_move")
    maps = {} if look is None else {"look": np.asarray(look, np.float16)}
    regions = ClipErrors(f"test/{name}", frames, 1, SIZE, table, 10.0, CELL, maps)
    scores = np.arange(frames) / 4
    return ScoredClip(
        clip=f"test/{name}",
        camera="",
        subject="",
        scores=scores,
        unsmoothed=scores,
        branches={},
        errors={},
        seconds=np.arange(frames) / 10,
        source_frames=step * np.arange(frames) + 1,
        source_size=(24, 40),
        fps=10.0,
        anomalous=None if labels is None else np.asarray(labels, bool),
        events=events.find(scores, 1.0, 10.0, CALIBRATE.events),
        regions=regions,
    )


def write_masks(where: Path, name: str, truth: np.ndarray) -> None:
    """Writes masks, bool [frames, height, width], like the stage `ingest`."""
    where.mkdir(exist_ok=True, parents=True)
    np.save(where / "truth.npy", truth)
    convert(where / "test" / name, where / "truth.npy", *np.array(truth.shape)[[0, 2, 1]].tolist())


def moving(frames: int, first: int, end: int) -> np.ndarray:
    """Masks of the source: in the frames [first, end), an 8 x 8 square that moves by its width per frame."""
    truth = np.zeros((2 * frames, 24, 40), bool)
    for t in range(first, end):
        x = 8 * (t // 2 % 5)
        truth[2 * (t // 2) : 2 * (t // 2) + 2, 8:16, x : x + 8] = True
    return truth


def cells(truth: np.ndarray, step: int = 2) -> np.ndarray:
    """Maps that are 3 exactly where the mask of their frame is."""
    return 3.0 * truth[1::step].reshape(-1, 3, 8, 5, 8).any((2, 4))


@pytest.fixture
def footage(tmp_path) -> tuple[list[ScoredClip], Path, dict[str, np.ndarray]]:
    """Clips with random maps and boxes, the folder of their masks, and these by clip.

    `lost` has none although it has anomalous frames, `normal` needs none, `new` is not labelled.
    """
    rng = np.random.default_rng(0)
    clips, truths = [], {}
    for name in ("a", "b", "normal", "lost", "new"):
        boxes = [(t, 4 * (t % 3), 0, 4 * (t % 3) + 7, 9, rng.gamma(2)) for t in range(0, 10, 2)]
        truth = np.zeros((20, 24, 40), bool)
        if name in ("a", "b"):
            truth[4:16] = rng.random((12, 24, 40)) < rng.random((12, 1, 1)) / 2
            write_masks(tmp_path / "masks", name, truth)
            truths[name] = truth
        labels = None if name == "new" else np.ones(10) if name == "lost" else truth[1::2].any((1, 2))
        clips.append(clip(name, labels, rng.gamma(2, 1, (10, *MAP)), boxes))
    return clips, tmp_path / "masks", truths | {"normal": np.zeros((20, 24, 40), bool)}


def pixels(
    clips: list[ScoredClip], truths: dict[str, np.ndarray], sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores rounded to float16, of all pixels: [frames, pixels] each."""
    y, s = [], []
    for clip in clips:
        if (name := clip.name) not in truths:
            continue
        painted = np.zeros((10, *MAP))
        for row in clip.regions.table.itertuples():
            for r, c in np.ndindex(MAP):
                inside = (
                    row.x0 < CELL * (c + 1)
                    and row.x1 > CELL * c
                    and row.y0 < CELL * (r + 1)
                    and row.y1 > CELL * r
                )
                if inside:
                    painted[row.frame, r, c] = max(painted[row.frame, r, c], row.error_move)
        total = np.zeros((10, *MAP))
        for branch, errors in (("look", clip.regions.maps["look"].astype(float)), ("move", painted)):
            smooth = filtered(errors, Gaussian(sigma))
            z = (smooth - NORMS[branch].centre) / NORMS[branch].spread
            total += np.where(z > 0, z, (np.exp(np.minimum(z, 0)) - 1) / 100)
        s.append(total.repeat(8, 1).repeat(8, 2).reshape(10, -1))  # a cell is 8 x 8 pixels of the source
        y.append(truths[name][clip.source_frames].reshape(10, -1))
    return np.concatenate(y), np.concatenate(s).astype(np.float16)


@pytest.mark.parametrize("sigma", [0.0, 1.5])
def test_pixel_figures_are_those_of_scikit_learn(footage, sigma):
    clips, masks, truths = footage
    result = locate(clips, calibration("look", "move", sigma=sigma), masks, PARAMS)
    y, s = pixels(clips, truths, sigma)
    got = result["pixel"]
    assert (got["frames"], got["pixels"], got["anomalous_pixels"]) == (30, y.size, y.sum())
    assert got["auc"] == pytest.approx(sk.roc_auc_score(y.ravel(), s.ravel()), abs=1e-6)
    flagged = (s > 0.6).ravel()
    assert got["precision"] == pytest.approx(sk.precision_score(y.ravel(), flagged))
    assert got["recall"] == pytest.approx(sk.recall_score(y.ravel(), flagged))
    assert got["f1"] == pytest.approx(sk.f1_score(y.ravel(), flagged))
    dynamic = s > np.sort(s, axis=1)[:, int(0.8 * s.shape[1]) - 1 : int(0.8 * s.shape[1])]
    assert got["dynamic_f1"] == pytest.approx(sk.f1_score(y.ravel(), dynamic.ravel()))
    located = result["localisation"]
    assert (located["frames"], located["clips_without_masks"]) == (30, 1)
    assert 0 <= located["rbdc"] <= 1


def test_maps_equal_to_the_masks_are_perfect_and_shifted_maps_are_not(tmp_path):
    truth = moving(10, 4, 16)
    write_masks(tmp_path, "a", truth)
    perfect = clip("a", truth[1::2].any((1, 2)), cells(truth))
    look = calibration("look")

    def figures(scored: ScoredClip) -> list[float]:
        result = locate([scored], look, tmp_path, PARAMS)
        keys = [("pixel", "auc"), ("pixel", "f1"), ("pixel", "mahadevan_auc")]
        return [
            result[level][key] for level, key in [*keys, ("localisation", "rbdc"), ("localisation", "tbdc")]
        ]

    assert figures(perfect) == [1, 1, 1, 1, 1]
    for by in (-1, 1):
        off = figures(
            replace(perfect, regions=replace(perfect.regions, maps={"look": np.roll(cells(truth), by, 0)}))
        )
        assert all(figure < 1 for figure in off)
    numbers = np.clip(perfect.source_frames + 2, 0, 19)
    assert all(figure < 1 for figure in figures(replace(perfect, source_frames=numbers)))
    assert figures(replace(perfect, source_frames=perfect.source_frames - 1)) == [
        1,
        1,
        1,
        1,
        1,
    ]  # same square


def test_without_normal_frames_perfect_maps_detect_all_regions(tmp_path):
    truth = moving(10, 0, 20)
    write_masks(tmp_path, "a", truth)
    result = locate([clip("a", np.ones(10), cells(truth))], calibration("look"), tmp_path, PARAMS)
    assert result["pixel"]["auc"] == 1
    assert "mahadevan_auc" not in result["pixel"]
    assert (result["localisation"]["rbdc"], result["localisation"]["tbdc"]) == (1, 1)


def test_without_masks_there_are_no_figures(footage, tmp_path):
    clips, masks, _ = footage
    look = calibration("look", "move")
    assert locate(clips, look, tmp_path / "none", PARAMS) == {}
    assert locate(clips[2:], look, masks, PARAMS) == {}  # normal, without masks, without labels


def test_empty_masks_give_a_reason_in_place_of_figures(tmp_path):
    write_masks(tmp_path, "a", np.zeros((20, 24, 40), bool))
    normal = clip("a", np.zeros(10), np.ones((10, *MAP)))
    result = locate([normal], calibration("look"), tmp_path, PARAMS)
    assert result["pixel"]["absent"] == "all pixels of the frames with masks are normal"
    assert "auc" not in result["pixel"]
    assert "rbdc" not in result["localisation"]


@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_figures_do_not_depend_on_the_length_of_chunks(footage, monkeypatch, chunk):
    clips, masks, _ = footage
    smooth = calibration("look", "move", sigma=1.0)
    whole = locate(clips, smooth, masks, PARAMS)
    assert locate(clips, smooth, masks, PARAMS) == whole  # twice the same
    monkeypatch.setattr(calibration_module, "CHUNK", chunk)
    assert locate(clips, smooth, masks, PARAMS) == whole


def test_memory_does_not_grow_with_the_clip(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration_module, "CHUNK", 16)
    look, rng = calibration("look", sigma=1.0), np.random.default_rng(0)

    def peak(frames: int) -> int:
        """Masks and maps of a pixel per cell, on disk as in a run."""
        truth = np.zeros((frames, 60, 80), bool)
        truth[:, 20:30, 30:40] = rng.random((frames, 1, 1)) < 0.5
        write_masks(tmp_path, "a", truth)
        arrays.write_array(tmp_path / "look", rng.random((frames, 60, 80)).round(1).astype(np.float16))
        scored = clip("a", truth.any((1, 2)), frames=frames, step=1)
        maps = {"look": arrays.open_array(tmp_path / "look")[0]}
        regions = replace(scored.regions, size=(60, 80), cell=1, maps=maps)
        scored = replace(scored, source_frames=np.arange(frames), regions=regions)
        tracemalloc.start()
        locate([scored], look, tmp_path, PARAMS)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(20)
    few, many = peak(40), peak(240)
    assert many < few + 500_000  # 200 maps are 2 to 4 MB


def write_frames(where: Path, clips: list[ScoredClip]) -> None:
    for scored in clips:
        picture = np.arange(len(scored.scores) * 240, dtype=np.uint32).reshape(-1, *SIZE) % 251
        arrays.write_array(where / scored.clip, picture.astype(np.uint8), fps=10.0)


def drawn(footage, where: Path) -> dict[str, bytes]:
    clips, masks, _ = footage
    write_frames(where / "frames", clips)
    draw(where / "out", clips, calibration("look", "move", sigma=1.0), where / "frames", masks)
    return {path.name: path.read_bytes() for path in (where / "out").iterdir()}


def test_every_clip_has_a_picture_with_the_same_bytes_each_time(footage, tmp_path, monkeypatch):
    pictures = drawn(footage, tmp_path / "first")
    assert sorted(pictures) == [f"clip_{name}.png" for name in ("a", "b", "lost", "new", "normal")]
    shapes = {name: matplotlib.image.imread(tmp_path / "first/out" / name).shape for name in pictures}
    # where there are labels a second row, the worst mistake
    assert shapes["clip_a.png"][0] > shapes["clip_new.png"][0]
    monkeypatch.setattr(calibration_module, "CHUNK", 3)
    assert drawn(footage, tmp_path / "second") == pictures


def test_a_picture_shows_frame_map_and_mask_of_the_same_frame(footage, tmp_path, monkeypatch):
    clips, _, truths = footage
    panels: dict[str, dict[str, heatmaps.Panel]] = {}
    monkeypatch.setattr(
        heatmaps, "draw", lambda path, name, shown, *_: panels.update({name: {p.kind: p for p in shown}})
    )
    (tmp_path / "out").mkdir()
    drawn(footage, tmp_path)
    assert set(panels["new"]) == {"most anomalous"}
    assert {kind: panel.number for kind, panel in panels["a"].items()} == {"most anomalous": 19, "missed": 5}
    _, s = pixels(clips, truths, 1.0)
    for i, name in enumerate(("a", "b", "normal")):
        for panel in panels[name].values():
            t = (panel.number - 1) // 2
            assert (panel.number, panel.score) == (2 * t + 1, t / 4)
            assert panel.frame.ravel()[0] == t * 240 % 251
            cells = np.maximum(s[10 * i + t].reshape(24, 40)[::8, ::8], 0)
            # the scores of the cells, on the scale of the frame's score
            np.testing.assert_allclose(panel.map, cells / cells.max() * panel.score, atol=1e-2)
            if name == "normal":
                assert panel.truth is None
            else:
                np.testing.assert_array_equal(panel.truth, truths[name][panel.number])
    assert panels["lost"]["most anomalous"].truth is None
    assert panels["new"]["most anomalous"].anomalous is None


@pytest.fixture
def surveyed(tmp_path) -> Callable[[str], list[ScoredClip]]:
    """Test clips in the folder layout: `masked` alone has masks, and `labels` are those of labels.csv."""
    root = tmp_path / "root"
    for name in ("train/x", "train/y", "test/masked", "test/said", "test/plain"):
        (root / name).mkdir(parents=True)
        for t in range(20):
            picture = np.full((24, 40), 10 + t, np.uint8)
            (root / name / f"{t:02}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (root / "masks/test").mkdir(parents=True)
    np.save(root / "masks/test/masked.npy", moving(10, 4, 16))

    def score(labels: str | None) -> list[ScoredClip]:
        if labels is not None:
            (root / "labels.csv").write_text("clip,start,end\n" + labels)
        result = survey.survey(
            Folder(Folder.Params()).read(root),
            root,
            tmp_path / "masks",
            tmp_path / "memory.json",
            val_fraction=0.5,
            on_error="fail",
            allow_anomalous_train=False,
            workers=1,
            log=lambda line: None,
        )
        test = [row for row in result.clips if row.split == "test"]
        look = calibration("look")
        for row in test:
            reports.write_times(tmp_path / "frames" / row.clip, np.arange(1, 20, 2))
            scored = clip(row.clip.partition("/")[2], None, cells(moving(10, 4, 16)))
            reports.write_errors(tmp_path / "errors" / row.clip, scored.regions)
        reports.score(tmp_path, tmp_path / "scores", test, look)
        return reports.read(tmp_path, tmp_path / "scores", test, result.labels)

    return score


@pytest.mark.parametrize(
    ("labels", "expected", "without"),
    [
        # masks label their clip; the other clips are not labelled
        (None, {"masked": (2, 7), "plain": None, "said": None}, 0),
        ("said,5,9\n", {"masked": (2, 7), "plain": (), "said": (2, 3)}, 1),
        ("masked,5,16\n", {"masked": (2, 7), "plain": (), "said": ()}, 0),
    ],
)
def test_labels_without_masks_and_masks_without_labels(surveyed, tmp_path, labels, expected, without):
    """First and last anomalous frame of those that were extracted: 1, 3, 5, … of the source."""
    clips = surveyed(labels)
    for scored in clips:
        assert scored.source_size == (24, 40)
        frames = expected[scored.name]
        if frames is None:
            assert scored.anomalous is None
        else:
            at = np.flatnonzero(scored.anomalous)
            assert (at.min(), at.max()) == frames if frames else not len(at)
    result = locate(clips, calibration("look"), tmp_path / "masks", PARAMS)
    assert result["localisation"]["clips_without_masks"] == without
    usable = sum(scored.anomalous is not None for scored in clips) - without
    assert result["pixel"]["frames"] == 10 * usable
    assert result["pixel"]["pixels"] == 10 * usable * 24 * 40  # of the source, with masks or without
    assert result["pixel"]["recall"] == 1
    json.dumps(result, allow_nan=False)
