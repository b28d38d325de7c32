"""The mode `silhouette`: its files, and the quality of silhouettes of drawn people."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.sample_regions import iou, moving
from tests.detection.frames import foreground_masks
from tests.regions import clips
from tests.regions.clips import files, whole_frames
from vad import UserError
from vad.detection.foreground_params import ForegroundParams
from vad.pipeline import params
from vad.regions.silhouette import Silhouette
from vad.store import cards, tables
from vad.store.bitmasks import open_masks
from vad.synthetic import CLIPS, instances, render

SHIPPED = params.read(Path(__file__).parents[2] / "params.yaml")["preprocess"]["foreground"]
HEIGHT, WIDTH = 48, 61  # no whole number of bytes


def mode(output: str = "binary", **changes) -> Silhouette:
    """The mode as shipped, with changes of `foreground`."""
    return Silhouette(Silhouette.Params(output=output), ForegroundParams(**SHIPPED | changes))


def walk(color: bool = False, value: int = 200) -> np.ndarray:
    """A bright thing crosses a plain frame."""
    frames = np.full((30, HEIGHT, WIDTH, 3) if color else (30, HEIGHT, WIDTH), 90, np.uint8)
    for t in range(30):
        frames[t, 10:40, 2 * t : 2 * t + 10] = value
    return frames


def run(folder: Path, frames: np.ndarray, silhouettes: Silhouette, threads: int = 1) -> Path:
    return clips.run(silhouettes, folder, frames, threads)


@pytest.mark.parametrize("color", [False, True])
def test_silhouettes_are_read_as_masks(tmp_path, color):
    frames = walk(color)
    stem = run(tmp_path, frames, mode())
    masks = open_masks(Path(f"{stem}.silhouette"))
    want = np.stack(list(foreground_masks(frames, mode().foreground)))
    assert len(masks) == 30
    assert np.array_equal([masks[t] for t in range(30)], want)
    assert want[10, 11:39, 21:29].all()
    assert cards.read_card(stem)["foreground"] == pytest.approx(want.mean(), abs=5e-7)
    assert set(files(stem)) == {"clip.parquet", "clip.json", "clip.silhouette.npy", "clip.silhouette.json"}


def test_the_region_is_the_frame(tmp_path):
    table = tables.read_table(run(tmp_path, walk(), mode()))
    assert (table == whole_frames(30, HEIGHT, WIDTH)[table.columns]).all(axis=None)


@pytest.mark.parametrize(
    ("output", "picture"),
    [("binary", ["silhouette"]), ("masked", ["masked"]), ("frame+mask", ["frame", "silhouette"])],
)
def test_the_card_names_the_content_of_the_chosen_output(tmp_path, output, picture):
    assert cards.read_card(run(tmp_path, walk(), mode(output)))["picture"] == picture


def test_the_hash_covers_silhouettes_and_output(tmp_path):
    def digest(name: str, frames: np.ndarray, silhouettes: Silhouette) -> str:
        return cards.read_card(run(tmp_path / name, frames, silhouettes))["hash"]

    first = digest("a", walk(), mode())
    assert digest("b", walk(), mode()) == first
    assert digest("c", walk(value=199), mode()) == first, "other frames, same silhouettes"
    assert digest("d", walk(value=90), mode()) != first
    assert digest("e", walk(), mode("masked")) != first


@pytest.mark.parametrize("method", ["mog2", "knn", "median"])
def test_the_same_input_gives_the_same_bytes(tmp_path, method):
    threads = cv2.getNumThreads()
    try:
        first = files(run(tmp_path / "a", walk(True), mode(method=method)))
        assert files(run(tmp_path / "b", walk(True), mode(method=method), threads=3)) == first
    finally:
        cv2.setNumThreads(threads)


def test_a_plain_clip_has_empty_silhouettes(tmp_path):
    stem = run(tmp_path, walk(value=90), mode())
    assert not open_masks(Path(f"{stem}.silhouette")).packed.any()
    card = cards.read_card(stem)
    assert (card["foreground"], card["regions"]) == (0, 30)


def test_an_unknown_output_is_refused_with_those_that_exist():
    raw = {"preprocess": {"silhouette": {"output": "mask"}}}
    with pytest.raises(UserError, match=r"silhouette\.output = 'mask'.*'frame\+mask'"):
        params.load("preprocess.silhouette", Silhouette.Params, raw)


# How good it is


def test_the_ground_truth_of_this_test_contains_only_moving_people():
    actors = np.zeros((30, 4, 40), np.int32)
    for t in range(30):
        actors[t, 0, t : t + 5] = 1  # walks on
        actors[t, 2, 10:20] = 2  # stands
        actors[t, 3, min(t, 14)] = 3  # comes, then stands
    truth = moving(actors, 10)
    assert np.array_equal(truth[:, 0], actors[:, 0])
    assert not truth[:, 2].any()
    assert [t for t in range(30) if truth[t, 3].any()] == list(range(24))


@pytest.mark.parametrize("name", ["train/hall/walk4", "train/yard/walk3"])
def test_silhouettes_of_drawn_people(name):
    """Mean IoU with moving people of at least 0.6, with default parameters, in gray, from the start."""
    script = next(s for s in CLIPS if s.name == name)
    frames = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in render(script)[0]])
    truth = moving(np.stack(list(instances(script))), 12) > 0
    values = iou(np.stack(list(foreground_masks(frames, mode().foreground))), truth)
    assert np.nanmean(values) >= 0.6
    assert np.nanmean(values[:12]) >= 0.5
