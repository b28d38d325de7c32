"""The stages ingest and extract on folders of pictures: their frame rate, and what is decoded again."""

from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from stages import extract, ingest
from tests.footage.videos import numbered, write_pictures
from vad.footage.encode import encode
from vad.pipeline import stage
from vad.store import arrays, manifest, tables


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs both stages; returns clip -> (rate in the manifest, of the frames, times), and new results."""
    monkeypatch.chdir(tmp_path)

    def run(**data) -> tuple[dict[str, tuple[float, float, list[float]]], int]:
        content = {
            "data": {"root": "footage", "val_fraction": 0.5, "folds": 1} | {"folder": {}, "ucsd": {}, **data},
            "extract": {},
            "compute": {"workers": 1},
        }
        YAML().dump(content, Path("params.yaml"))
        cache = Path(".cache/clips")
        before = set(cache.iterdir()) if cache.is_dir() else set()
        for module in (ingest, extract):
            module.main(stage.Run(module.__name__.partition(".")[2]))
        results = {}
        for clip in manifest.read_manifest(Path("data/manifest.csv")):
            stem = Path("data/frames") / clip.clip
            times = tables.read_table(stem).seconds.tolist()
            results[clip.clip] = (clip.fps, arrays.open_array(stem)[1]["fps"], times)
        return results, len({*cache.iterdir()} - before)

    return run


def test_data_fps_gives_the_times_of_pictures_and_not_of_videos(tmp_path, run):
    for i, clip in enumerate(["train/a", "train/b", "test/walk"]):
        write_pictures(tmp_path / "footage" / clip, numbered(12)[4 * i :][:4])
    encode(tmp_path / "footage/test/film.mp4", numbered(4), 20)
    first, new = run()
    assert new == 4
    assert first["test/walk"] == (25.0, 25.0, [0.0, 0.04, 0.08, 0.12])
    assert first["test/film"][:2] == (20.0, 20.0)
    changed, new = run(fps=10.0)
    assert new == 3, "all but the video"
    assert changed["test/walk"] == (10.0, 10.0, [0.0, 0.1, 0.2, 0.3])
    assert changed["test/film"] == first["test/film"]
    assert run() == (first, 0)


def test_ucsd_was_filmed_at_10_frames_per_second(tmp_path, run):
    for clip in ("Train/Train001", "Train/Train002", "Test/Test001"):
        write_pictures(tmp_path / "footage" / clip, numbered(4), ".tif")
    results, _ = run(format="ucsd")
    assert {rates[:2] for rates in results.values()} == {(10.0, 10.0)}
    results, _ = run(format="ucsd", fps=25.0)
    assert {rates[:2] for rates in results.values()} == {(25.0, 25.0)}


def test_data_bits_gives_the_brightness_of_pictures(tmp_path, run):
    for clip in ("train/a", "train/b", "test/walk"):
        write_pictures(tmp_path / "footage" / clip, [p.astype(np.uint16) * 16 for p in numbered(4)])
    run(bits=12)
    np.testing.assert_array_equal(arrays.open_array(Path("data/frames/test/walk"))[0], numbered(4))
    run(bits=14)
    np.testing.assert_array_equal(
        arrays.open_array(Path("data/frames/test/walk"))[0], np.array(numbered(4)) // 4
    )
