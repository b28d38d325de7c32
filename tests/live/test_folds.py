"""Folds in the stages and live: normal clips by models that have not seen them, others by the mean of all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.statistics import training_clips
from tests.live.test_session import assert_equal, clips_of, watch
from tests.project import Project
from tests.trained import trained
from vad import UserError
from vad.branches.classes import Classes
from vad.live import TrainedModel
from vad.models import load
from vad.store import manifest
from vad.store.tables import read_table
from vad.windows.dataset import Windows


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return trained(tmp_path_factory.mktemp("folds"), "objects", folds=4)


@pytest.fixture(autouse=True)
def inside(project, monkeypatch) -> None:
    monkeypatch.chdir(project.folder)  # paths in params.yaml are relative


def normal_clips() -> list[manifest.Clip]:
    clips = [clip for clip in manifest.read_manifest(Path("data/manifest.csv")) if clip.split == "train"]
    assert sorted(clip.fold for clip in clips) == [0, 1, 2, 3]
    return clips


def appearance(folds: list[int], clip: str) -> np.ndarray:
    """The error of appearance of a clip's windows, the mean over folds, by their definition."""
    split, name = clip.split("/")
    windows = Windows(Path("data/tensors") / split, [name])
    x = torch.from_numpy(windows[np.arange(len(windows))]).float() / 255
    means = []
    for fold in folds:
        model, _ = load(Path(f"models/autoencoder/{fold}"))
        with torch.inference_mode():
            means.append(model.residuals(x)["appearance"].square().mean((1, 2, 3, 4)).numpy())
    return np.mean(means, 0)


def test_a_normal_clip_is_measured_by_its_fold_and_a_test_clip_by_all():
    for clip in [*normal_clips(), *clips_of(Project(Path()))]:
        stored = read_table(Path("data/errors") / clip.clip)["error_appearance"]
        folds = [0, 1, 2, 3] if clip.split == "test" else [clip.fold]
        np.testing.assert_allclose(stored, appearance(folds, clip.clip), rtol=1e-4, atol=1e-6)


def test_statistics_of_a_fold_are_those_of_the_other_clips():
    clips = training_clips()
    for left_out in normal_clips():
        others = [clip for clip in clips if clip.clip != left_out.clip]
        expected = Classes(Classes.Params()).fit(others, lambda line: None)
        stored = TrainedModel.load(fold=left_out.fold).branches
        (classes,) = (branch for branch in stored if branch.name == "classes")
        for name, values in expected.items():
            np.testing.assert_array_equal(classes.statistics[name], values)


def test_the_calibration_rests_on_all_normal_clips():
    calibration = TrainedModel.load().calibration
    assert calibration.folds == 4
    assert calibration.frames == 4 * 24
    assert sorted(p.name for p in Path("data/tensors/val").iterdir()) == ["none.txt"]


def test_live_scores_are_those_of_the_pipeline(project):
    model = TrainedModel.load()
    for clip in clips_of(project):
        assert_equal(project, clip, watch(project, clip, model))


def test_a_single_fold_has_a_branch_of_each_kind():
    names = [branch.name for branch in TrainedModel.load(fold=2).branches]
    assert sorted(names) == ["classes", "motion", "reconstruction", "shape", "speed"]
    names = [branch.name for branch in TrainedModel.load().branches]
    learned = ["classes", "motion", "reconstruction", "shape"]
    assert sorted(names) == [*sorted(4 * learned), "speed"]  # speed learns nothing


def test_an_unknown_fold_and_a_calibration_of_other_folds_are_refused():
    with pytest.raises(UserError, match=r"models/autoencoder: no models of fold 4; there are \[0, 1, 2, 3\]"):
        TrainedModel.load(fold=4)
    file = Path("models/calibration.json")
    before = file.read_bytes()
    file.write_text(json.dumps(json.loads(before) | {"folds": 1}), "utf-8")
    try:
        with pytest.raises(
            UserError, match=r"errors of data\.folds = 1, but models/autoencoder has 4 models"
        ):
            TrainedModel.load()
    finally:
        file.write_bytes(before)
