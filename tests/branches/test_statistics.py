"""The stage `statistics`: which clips it learns from, fold by fold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages import statistics
from tests.branches.measured import write_inputs
from tests.branches.normal import inside
from vad import UserError
from vad.branches.base import load_statistics
from vad.branches.classes import Classes
from vad.branches.motion import Motion
from vad.branches.shape import Shape
from vad.pipeline.stage import Run
from vad.store import arrays, manifest
from vad.store.body_heights import BodyHeight, BodyHeights, write_body_heights

HALL = BodyHeight(4.0, 12.0, 2.0, 32, "fit", 99)
OTHERS = BodyHeight.constant(20.0, 64)
BRANCHES = [Classes(Classes.Params(components=2)), Motion(Motion.Params()), Shape(Shape.Params())]


def clip(name: str, camera: str, fold: int) -> manifest.Clip:
    source = {"subject": "", "source": name, "first": 0, "end": 14, "labelled": False, "frames": 14}
    # the pictures of the source are larger than the extracted frames
    return manifest.Clip(
        name, name.split("/")[0], camera, **source, fps=25.0, width=80, height=64, hash="0", fold=fold
    )


@pytest.fixture
def project(tmp_path, monkeypatch) -> Callable[[bool], None]:
    """Writes the inputs of the stage into the current folder, with or without folds."""
    monkeypatch.chdir(tmp_path)

    def write(folds: bool) -> None:
        names = [f"train/{name}" for name in ("a", "b", "c", "short", "lost")] + ["test/d"]
        clips = [clip(n, "hall" if i < 2 else "yard", i % 2 if folds else -1) for i, n in enumerate(names)]
        clips[-1] = clip("test/d", "hall", -1)
        manifest.write_manifest(Path("data/manifest.csv"), clips)
        manifest.write_folds(Path("data/tensors/folds.csv"), [c for c in clips if c.clip != "train/short"])
        manifest.write_skipped(Path("data/tensors/skipped.csv"), {"train/short": "too short"})
        manifest.write_skipped(Path("data/frames/skipped.csv"), {"train/lost": "cannot be read"})
        heights = BodyHeights({"hall": HALL, "": OTHERS})
        write_body_heights(Path("data/body_height.json"), heights)
        Path("params.yaml").write_text("branches: {classes: {components: 2}}\n")
        for i, name in enumerate(names):
            write_inputs(Path("data"), boxes=inside(seed=i), name=name, seed=i)
            arrays.write_array(Path("data/frames") / name, np.zeros((14, 32, 40), np.uint8), fps=10.0)

    return write


def test_clips_are_described_by_what_was_extracted(project):
    project(True)
    clips = statistics.training_clips()
    assert [c.clip for c in clips] == ["train/a", "train/b", "train/c"]
    assert {(c.frame, c.frames, c.fps) for c in clips} == {((32, 40), 14, 10.0)}
    assert [c.camera for c in clips] == ["hall", "hall", "yard"]
    assert [c.body_height for c in clips] == [HALL, HALL, OTHERS.scaled(32)]
    assert all(Path(f"{c.regions}.parquet").is_file() and Path(f"{c.flow}.npy").is_file() for c in clips)


@pytest.mark.parametrize("folds", [True, False])
def test_a_fold_learns_from_the_clips_of_the_others(project, folds):
    project(folds)
    statistics.main(Run("statistics"))
    assert sorted(p.name for p in Path("models/branches").iterdir()) == (["0", "1"] if folds else ["0"])
    left_out = {0: {"train/a", "train/c"}, 1: {"train/b"}} if folds else {0: set()}
    for fold, names in left_out.items():
        clips = [c for c in statistics.training_clips() if c.clip not in names]
        for branch in BRANCHES:
            expected = branch.fit(clips, print)
            stored = load_statistics(Path(f"models/branches/{fold}") / branch.name)
            assert stored.keys() == expected.keys()
            for key, values in expected.items():
                np.testing.assert_array_equal(stored[key], values)


def test_without_flow_the_other_branches_are_fitted(project):
    project(True)
    for file in Path("data/flow").rglob("*.json"):
        file.write_text('{"method": "none", "hash": "none"}')
    statistics.main(Run("statistics"))
    fitted = {p.name: load_statistics(p) is not None for p in Path("models/branches/0").iterdir()}
    assert fitted == {"classes": True, "motion": False, "shape": True}


def test_missing_body_heights_are_refused(project):
    project(True)
    Path("data/body_height.json").unlink()
    with pytest.raises(UserError, match=r"body_height\.json"):
        statistics.main(Run("statistics"))
