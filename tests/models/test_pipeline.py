"""Every autoencoder from the videos of the sample to calibrated scores; changing the model with DVC."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests import project as tiny
from tests.project import ROOT, Project, following, ran
from tests.regions.clips import whole_frames
from vad.branches.base import BRANCHES
from vad.branches.measure import measure_clip
from vad.branches.params import MeasureParams
from vad.flow.compute import compute_flow
from vad.flow.dis import Dis
from vad.footage.extract import ExtractParams, extract
from vad.models import MODELS, create, load, save
from vad.pipeline import params as params_file
from vad.regions.table import write
from vad.resize.cut import cut
from vad.scoring.calibrate import calibrate
from vad.scoring.clip_errors import read_errors
from vad.scoring.params import CalibrateParams
from vad.store.arrays import open_array
from vad.store.body_heights import BodyHeight
from vad.store.zones import CameraZones
from vad.training.fit import fit, fix_seed
from vad.training.params import TrainParams
from vad.windows.dataset import Windows
from vad.windows.spec import ResizeParams, TensorSpec

RAW = params_file.read(ROOT / "params.yaml")
FRAMES = 32
BODY = BodyHeight.default(72)


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """The first frames of three clips of the sample: frames, flow, regions."""
    folder = tmp_path_factory.mktemp("sample")
    clips = [*sorted((ROOT / "data/sample/train/hall").iterdir())[:2]]
    clips += sorted((ROOT / "data/sample/test/hall").iterdir())[:1]
    for split, source in zip(("train", "val", "test"), clips, strict=True):
        frames, flow, regions = (folder / kind / split for kind in ("frames", "flow", "regions"))
        for stem in (frames, flow, regions):
            stem.parent.mkdir(exist_ok=True)
        extract(frames, source, 0, FRAMES, ExtractParams(max_side=96))
        compute_flow(flow, frames, Dis(Dis.Params()), threads=1)
        write(regions, whole_frames(*open_array(frames)[0].shape), lookahead=0)
    return folder


def tensors(footage: Path, out: Path, name: str, channels: list[str]) -> dict[str, Path]:
    """Stems of the tensors of each split for a model."""
    resize = ResizeParams(channels=channels, height=32, width=32, stride=2)
    spec = TensorSpec.of(resize, model_params(name).window.at(12.5))
    stems = {}
    for split in ("train", "val", "test"):
        stems[split] = out / split / split
        stems[split].parent.mkdir(parents=True)
        parts = [footage / kind / split for kind in ("frames", "regions", "flow")]
        cut(stems[split], *parts, spec, BODY, threads=1)
    return stems


def model_params(name: str):
    return params_file.load(f"model.{name}", MODELS.get(name).Params, RAW)


@pytest.mark.parametrize("name", MODELS.names())
def test_from_video_to_scores(footage, tmp_path, name):
    channels = ["gray", "flow"] if name == "cube" else ["picture"]
    stems = tensors(footage, tmp_path, name, channels)
    train, val = Windows(stems["train"].parent), Windows(stems["val"].parent)
    fix_seed(0)
    model = create(name, model_params(name), train.shape, train.channels)
    where = [tmp_path / "reports", tmp_path / "throughput.csv", tmp_path / "cache"]
    plain = {"loss": {"mse": 1.0, "l1": 0.0}, "pseudo": {"kind": "none"}}  # as mlp needs
    fit(model, train, val, TrainParams(epochs=1, **plain), *where, lambda line: None)
    save(model, tmp_path / "autoencoder")
    branches = [
        BRANCHES.get("reconstruction")(BRANCHES.get("reconstruction").Params(maps=True)),
        BRANCHES.get("speed")(BRANCHES.get("speed").Params()),
    ]
    for branch in branches:
        branch.open(tmp_path / "autoencoder", tmp_path / "statistics")
    for split in ("val", "test"):
        (tmp_path / "errors" / split).mkdir(parents=True)
        stem = tmp_path / "errors" / split / "clip"
        parts = [footage / kind / split for kind in ("regions", "flow")]
        of_camera = "hall", BODY, CameraZones()
        measure_clip(stem, stems[split], *parts, branches, MeasureParams(), *of_camera, threads=1)
    normal, test = read_errors(tmp_path / "errors", {"val/clip": "hall", "test/clip": "hall"})
    for clip in (normal, test):
        assert list(clip.maps) == [*model.branches, "speed"]
        assert all(np.isfinite(maps).all() and maps.any() for maps in clip.maps.values())
    calibration = calibrate([normal], CalibrateParams(threshold={"percentile": 90.0}))
    assert calibration.branches == [*load(tmp_path / "autoencoder")[0].branches, "speed"]
    scores = calibration.frame_scores(test)
    assert scores.shape == (FRAMES,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > FRAMES // 4


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return tiny.make_and_run(tmp_path_factory.mktemp("models"))[0]


@pytest.mark.slow
def test_a_change_of_the_model_runs_resize_and_what_follows_it(project):
    """The tensors get the windows of the new model, and those of the first model after changing back."""
    project.reset()
    before = project.read("dvc.lock")
    output = project.run("dvc", "exp", "run", "-S", "model.name=conv3d")
    assert ran(output) == following("resize")
    assert "train: conv3d, 7,409 parameters, windows of 1x16x16x16" in output
    card = json.loads(project.read("models/autoencoder/0/card.json"))
    assert (card["name"], card["window_shape"]) == ("conv3d", [1, 16, 16, 16])
    # parameters of models that are not chosen re-run nothing
    project.set({"model.unet.channels": [8, 16], "model.conv2d.channels": [2]})
    assert ran(project.repro()) == set()
    project.run("git", "checkout", "params.yaml")
    assert ran(project.repro()) <= {"summarize"}
    assert project.read("dvc.lock") == before


@pytest.mark.slow
def test_dvc_resumes_a_training_interrupted_by_ctrl_c(project):
    """tests/test_resume.py does it with kill -9."""
    project.reset()
    project.set({"train.epochs": 200, "train.early_stopping": 200})
    child = subprocess.Popen(
        ["dvc", "repro", "train"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
        # what a shell starts in the background ignores Ctrl-C, and so would all that these tests start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in child.stdout:
        if line.startswith("train: epoch 10/"):
            os.killpg(child.pid, signal.SIGINT)  # DVC and the stage, as a terminal does
            break
    rest, _ = child.communicate(timeout=60)
    assert child.returncode != 0, rest
    assert "train: error: interrupted; finished stages, clips and epochs are kept" in rest
    assert "Traceback" not in rest
    resumed = project.repro("train")
    assert "train: goes on after epoch" in resumed
    project.moved = True
    weights, history = (
        project.read(f) for f in ("models/autoencoder/0/weights.safetensors", "reports/training/history.csv")
    )
    assert len(history.splitlines()) == 1 + 200
    project.run("dvc", "repro", "-f", "-s", "train")
    assert project.read("models/autoencoder/0/weights.safetensors") == weights
    assert project.read("reports/training/history.csv") == history
    assert not list((project / ".cache/checkpoints").iterdir())
