"""preprocess.mode: silhouette. What it writes, and how well it finds what moves in drawn footage."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.sample_regions import iou, moving
from vad import UserError
from vad.flow import none as no_flow
from vad.pipeline import params
from vad.regions import none, silhouette
from vad.regions.background import foreground
from vad.store import arrays, cards, tables
from vad.store.bitmasks import open_masks
from vad.synthetic import CLIPS, instances, render

SHIPPED = params.read(Path(__file__).parents[2] / "params.yaml")["preprocess"]["silhouette"]
HEIGHT, WIDTH = 48, 61  # no whole number of bytes


def how(output: str = "binary", **changes) -> silhouette.Params:
    """The parameters as shipped, with changes of `foreground`."""
    return silhouette.Params(output=output, foreground=SHIPPED["foreground"] | changes)


def walk(color: bool = False, value: int = 200) -> np.ndarray:
    """A bright thing crosses a plain frame."""
    frames = np.full((30, HEIGHT, WIDTH, 3) if color else (30, HEIGHT, WIDTH), 90, np.uint8)
    for t in range(30):
        frames[t, 10:40, 2 * t : 2 * t + 10] = value
    return frames


def run(folder: Path, frames: np.ndarray, p: silhouette.Params, threads: int = 1) -> Path:
    arrays.write_array(folder / "frames", frames, fps=10.0)
    no_flow.flow(folder / "flow", folder / "frames", no_flow.Params(), threads=1)
    ready, hashes = silhouette.prepare(p, folder / "cache")
    assert hashes == []
    stem = folder / "regions/clip"
    silhouette.regions(stem, folder / "frames", folder / "flow", p, ready, threads=threads)
    return stem


def files(stem: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stem.parent.iterdir()}


@pytest.mark.parametrize("color", [False, True])
def test_silhouettes_are_read_as_masks(tmp_path, color):
    frames = walk(color)
    stem = run(tmp_path, frames, how())
    masks = open_masks(Path(f"{stem}.silhouette"))
    want = np.stack(list(foreground(frames, how().foreground)))
    assert len(masks) == 30
    assert np.array_equal([masks[t] for t in range(30)], want)
    assert want[10, 11:39, 21:29].all()
    assert cards.read_card(stem)["foreground"] == pytest.approx(want.mean(), abs=5e-7)
    assert set(files(stem)) == {"clip.parquet", "clip.json", "clip.silhouette.npy", "clip.silhouette.json"}


def test_the_region_is_the_frame(tmp_path):
    stem = run(tmp_path, walk(), how())
    none.regions(tmp_path / "whole", tmp_path / "frames", tmp_path / "flow", none.Params(), None, threads=1)
    table = tables.read_table(stem)
    assert table.equals(tables.read_table(tmp_path / "whole"))
    assert table[["x1", "y1"]].drop_duplicates().to_numpy().tolist() == [[WIDTH, HEIGHT]]


@pytest.mark.parametrize(
    ("output", "picture"),
    [("binary", ["silhouette"]), ("masked", ["masked"]), ("frame+mask", ["frame", "silhouette"])],
)
def test_output(tmp_path, output, picture):
    assert cards.read_card(run(tmp_path, walk(), how(output)))["picture"] == picture


def test_the_hash_covers_silhouettes_and_output(tmp_path):
    def digest(name: str, frames: np.ndarray, p: silhouette.Params) -> str:
        return cards.read_card(run(tmp_path / name, frames, p))["hash"]

    first = digest("a", walk(), how())
    assert digest("b", walk(), how()) == first
    assert digest("c", walk(value=199), how()) == first, "other frames, same silhouettes"
    assert digest("d", walk(value=90), how()) != first
    assert digest("e", walk(), how("masked")) != first


@pytest.mark.parametrize("method", ["mog2", "knn", "median"])
def test_same_input_same_bytes(tmp_path, method):
    threads = cv2.getNumThreads()
    try:
        one = files(run(tmp_path / "a", walk(True), how(method=method)))
        assert files(run(tmp_path / "b", walk(True), how(method=method), threads=3)) == one
    finally:
        cv2.setNumThreads(threads)


def test_nothing_moves(tmp_path):
    stem = run(tmp_path, walk(value=90), how())
    assert not open_masks(Path(f"{stem}.silhouette")).packed.any()
    card = cards.read_card(stem)
    assert (card["foreground"], card["regions"]) == (0, 30)


def test_bad_parameters():
    section = {"output": "binary", "foreground": SHIPPED["foreground"]}
    for change, words in (
        ({"output": "mask"}, "silhouette.output = 'mask'.*'frame[+]mask'"),
        ({"foreground": SHIPPED["foreground"] | {"method": "vibe"}}, "silhouette.foreground.method = 'vibe'"),
        ({"foreground": {}}, "silhouette.foreground.method is missing"),
    ):
        raw = {"preprocess": {"silhouette": section | change}}
        with pytest.raises(UserError, match=words):
            params.load("preprocess.silhouette", silhouette.Params, raw)


# How good it is


def test_who_moves():
    actors = np.zeros((30, 4, 40), np.int32)
    for t in range(30):
        actors[t, 0, t : t + 5] = 1  # walks on
        actors[t, 2, 10:20] = 2  # stands
        actors[t, 3, min(t, 14)] = 3  # comes, then stands
    found = moving(actors, 10)
    assert np.array_equal(found[:, 0], actors[:, 0])
    assert not found[:, 2].any()
    assert [t for t in range(30) if found[t, 3].any()] == list(range(24))


@pytest.mark.parametrize("name", ["train/hall/walk4", "train/yard/walk3"])
def test_silhouettes_of_drawn_people(name):
    """Mean IoU with whatever moves at least 0.6, parameters as shipped, gray; the first second as well."""
    script = next(s for s in CLIPS if s.name == name)
    frames = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in render(script)[0]])
    truth = moving(np.stack(list(instances(script))), 12) > 0
    values = iou(np.stack(list(foreground(frames, how().foreground))), truth)
    assert np.nanmean(values) >= 0.6
    assert np.nanmean(values[:12]) >= 0.5
