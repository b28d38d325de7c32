"""Single pictures: scored as the pipeline scores frames without motion, by a threshold of their own."""

import os
import shutil
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from tests import project as tiny
from tests.live.test_session import clips_of
from tests.project import Project
from tests.trained import run_stages, trained
from vad import UserError, recipe
from vad.detection.foreground_params import ForegroundParams
from vad.live import PictureResult, PictureScorer, TrainedModel
from vad.live.deployed_model import load_deployed
from vad.regions.person_crop import PersonCrop
from vad.scoring.clip_errors import read_clip
from vad.store import manifest
from vad.store.downloads import hash_file
from vad.store.tables import BOX, read_table

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[3] / "shared" / "data"))
PERCENTILE = 90  # of the tiny project
EVERY_N = 3  # the detector runs on every third frame


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Project:
    """With a detector and motion."""
    return trained(tmp_path_factory.mktemp("objects"), "objects", folds=2)


@pytest.fixture
def model(objects, monkeypatch) -> TrainedModel:
    monkeypatch.chdir(objects.folder)
    return TrainedModel.load()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Project:
    """With whole frames."""
    return trained(tmp_path_factory.mktemp("whole_frame"), "whole_frame")


def frames_of(clip: manifest.Clip) -> np.ndarray:
    return np.load(f"data/frames/{clip.clip}.npy")


def normal_clips() -> list[manifest.Clip]:
    return manifest.measured(Path("data/manifest.csv"), Path("data/picture_errors"), "train", "val")


def of_normal(folds: bool = True) -> dict[str, list[PictureResult]]:
    """Results of all normal frames, each by the models that have not seen it."""
    return {
        clip.clip: [
            PictureScorer(TrainedModel.load(fold=clip.fold if folds else None), clip.camera).score(frame)
            for frame in frames_of(clip)
        ]
        for clip in normal_clips()
    }


def test_regions_of_a_frame_have_the_errors_and_scores_of_the_pipeline(objects, model):
    """Where the detector ran on the frame: there, boxes in between are not interpolated."""
    calibration, compared = model.calibration.picture, 0
    assert calibration.branches == ["appearance", "classes", "shape"]
    for clip in clips_of(objects):
        errors = read_clip(Path("data/errors") / clip.clip, clip.clip, clip.camera)
        regions = read_table(Path("data/regions") / clip.clip)
        scorer, frames = PictureScorer(model, clip.camera), frames_of(clip)
        for item in errors.each_frame():
            if item.index % EVERY_N:
                continue
            result = scorer.score(frames[item.index])
            rows = regions[(regions["frame"] == item.index) & (regions["source"] == "detector")]
            boxes = {tuple(box) for box in rows[BOX].to_numpy().tolist()}
            scores = calibration.region_scores(item, errors.size, clip.camera)
            stored = dict(zip(map(tuple, item.regions.boxes.tolist()), scores, strict=True))
            found = dict(zip(map(tuple, result.regions.boxes.tolist()), result.region_scores, strict=True))
            assert boxes <= set(found)
            assert set(result.regions.sources) <= {"detector"}
            for box in boxes:
                assert found[box] == pytest.approx(stored[box], rel=1e-4, abs=1e-5)
            compared += len(boxes)
    assert compared > 20


@pytest.mark.parametrize("name", ["objects", "whole"])
def test_the_threshold_is_the_percentile_of_normal_frames_as_pictures(name, request, monkeypatch):
    project = request.getfixturevalue(name)
    monkeypatch.chdir(project.folder)
    results = of_normal(folds=name == "objects")
    scores = np.array([result.score for of_clip in results.values() for result in of_clip])
    calibration = TrainedModel.load().calibration.picture
    assert calibration.threshold == pytest.approx(np.percentile(scores, PERCENTILE), rel=1e-5)
    assert calibration.frames == len(scores) == 24 * len(results)
    alarmed = [result.alarmed for of_clip in results.values() for result in of_clip]
    assert 0 < sum(alarmed) <= ceil(len(alarmed) * (1 - PERCENTILE / 100))
    for clip, of_clip in results.items():
        stored = read_clip(Path("data/picture_errors") / clip, clip, "")
        for item, result in zip(stored.each_frame(), of_clip, strict=True):
            scores = calibration.region_scores(item, stored.size)
            np.testing.assert_allclose(result.region_scores, scores, rtol=1e-4, atol=1e-5)


def test_a_picture_of_blocks_is_alarmed_and_the_branch_is_named(whole, monkeypatch):
    monkeypatch.chdir(whole.folder)
    scorer = PictureScorer(TrainedModel.load())
    frame = frames_of(clips_of(whole)[0])[0]
    blocks = 255 * np.random.default_rng(0).integers(0, 2, (6, 8), np.uint8)  # visible at the tensor's size
    result = scorer.score(np.kron(blocks, np.ones((8, 8), np.uint8)))
    assert result.alarmed
    assert result.score > result.threshold == scorer.threshold
    assert dict(result.shares) == {"reconstruction": 1.0}
    np.testing.assert_array_equal(result.regions.boxes, [[0, 0, frame.shape[1], frame.shape[0]]])
    assert result.region_scores == pytest.approx([result.score])


def test_a_picture_does_not_depend_on_those_before_it(objects, model):
    frames = frames_of(clips_of(objects)[0])
    scorer = PictureScorer(model, "hall")
    first = [scorer.score(frames[t]).score for t in (0, 12, 23)]
    assert len(set(first)) == 3
    assert [scorer.score(frames[t]).score for t in (23, 12, 0)] == first[::-1]


def test_the_deployed_model_judges_pictures_alike(objects, model):
    run_stages(objects.folder, ["export"])
    scorers = [PictureScorer(m, "hall") for m in (model, load_deployed(Path("models/deployed")))]
    assert scorers[0].branches == scorers[1].branches
    for frame in frames_of(clips_of(objects)[0])[::8]:
        trained_result, deployed = (scorer.score(frame) for scorer in scorers)
        assert deployed.score == pytest.approx(trained_result.score, abs=1e-4)
        assert deployed.alarmed == trained_result.alarmed


def test_pictures_of_another_size_and_of_colour_are_scored(objects, model):
    frame = frames_of(clips_of(objects)[0])[0]
    scorer = PictureScorer(model, "hall")
    large = scorer.score(np.kron(frame, np.ones((2, 2), np.uint8)))
    assert large.size == (96, 128)
    assert large.regions.boxes.max() > 64
    color = scorer.score(np.repeat(frame[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(color.regions.boxes, scorer.score(frame).regions.boxes)


def test_what_is_no_picture_is_an_error(objects, model):
    with pytest.raises(ValueError, match="expected uint8"):
        PictureScorer(model, "hall").score(np.zeros((48, 64), np.float32))


def test_a_mode_without_regions_and_a_model_without_threshold_are_refused_by_name(objects, model):
    motion = PersonCrop(PersonCrop.Params(detectors=["motion"]), ForegroundParams())
    with pytest.raises(UserError, match=r"person_crop\.detectors: \['motion'\] finds what moves.*add onnx"):
        PictureScorer(replace(model, mode=motion))
    with pytest.raises(UserError, match=r"no threshold for single pictures.*\(appearance, classes, flow"):
        PictureScorer(replace(model, calibration=replace(model.calibration, picture=None)))
    per_camera = model.calibration.picture.params.model_copy(update={"per_camera": True})
    picture = replace(model.calibration.picture, params=per_camera)
    with pytest.raises(UserError, match="camera 'attic' has no calibration"):
        PictureScorer(replace(model, calibration=replace(model.calibration, picture=picture)), "attic")


@pytest.mark.slow
@pytest.mark.datasets
def test_real_normal_frames_are_alarmed_about_as_often_as_asked(tmp_path, monkeypatch):
    """Half of UCSD Ped2, each clip by the models that left it out, in frames between the fitted ones."""
    root, weights = DATA / "ucsd_ped2", DATA / "weights/yolox_nano.onnx"
    if not (root.is_dir() and weights.is_file()):
        pytest.skip(f"no UCSD Ped2 or no weights in {DATA}; set VAD_DATASETS")
    project = tiny.copy(tmp_path)
    for number in range(1, 17, 2):
        name = f"Train/Train{number:03d}"
        shutil.copytree(root / name, project / "data/ped2" / name.lower())
    shutil.copytree(root / "Test/Test001", project / "data/ped2/test/test001")
    overrides = recipe.overrides(["ped2", "objects"], root=str(project / "data/ped2"), detector=str(weights))
    hashed = {"preprocess.person_crop.onnx.sha256": hash_file(weights)}
    project.set({**overrides, **hashed, "data.format": "folder", "data.fps": 10.0, "train.epochs": 5})
    run_stages(tmp_path, tiny.STAGES[: tiny.STAGES.index("calibrate") + 1])
    monkeypatch.chdir(project.folder)
    alarmed = []
    for fold in range(4):
        scorer = PictureScorer(TrainedModel.load(fold=fold))
        for clip in normal_clips():
            if clip.fold == fold:
                alarmed += [scorer.score(frame).alarmed for frame in frames_of(clip)[2::4]]
    assert len(alarmed) > 300
    assert 0.002 < np.mean(alarmed) < 0.025  # 1 % asked
