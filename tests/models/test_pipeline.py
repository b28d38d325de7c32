"""Every autoencoder from the sample's video files to calibrated scores; one flag of DVC changes it."""

import importlib
import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests import project as tiny
from tests.project import Project, following, ran
from tests.training.test_fit import ROOT, params
from vad import models
from vad.branches import measure
from vad.branches.reconstruction import ScoreParams
from vad.flow import dis
from vad.footage.extract import ExtractParams, extract
from vad.pipeline.params import alternatives, load
from vad.pipeline.params import read as load_raw
from vad.regions import none
from vad.resize.cut import cut
from vad.scoring import pooling
from vad.scoring.calibration import CalibrateParams, calibrate
from vad.training import fit
from vad.windows.dataset import Windows
from vad.windows.spec import ModelWindow, ResizeParams, WindowParams

RAW = load_raw(ROOT / "params.yaml")
FRAMES = 32


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """The first frames of three clips of the sample: frames, flow, regions."""
    folder = tmp_path_factory.mktemp("sample")
    how = load("extract", ExtractParams, RAW | {"extract": RAW["extract"] | {"max_side": 96}})
    flow = load("flow.dis", dis.Params, RAW)
    clips = [*sorted((ROOT / "data/sample/train/hall").iterdir())[:2]]
    clips += sorted((ROOT / "data/sample/test/hall").iterdir())[:1]
    for split, source in zip(("train", "val", "test"), clips, strict=True):
        stems = [folder / kind / split for kind in ("frames", "flow", "regions")]
        for stem in stems:
            stem.parent.mkdir(exist_ok=True)
        extract(stems[0], source, 0, FRAMES, how)
        dis.flow(stems[1], stems[0], flow, threads=1)
        none.regions(stems[2], stems[0], stems[1], none.Params(), None, threads=1)
    return folder


def tensors(footage: Path, out: Path, name: str, channels: list[str]) -> dict[str, Path]:
    """Stems of the tensors that a model wants of each split, in a folder for each."""
    resize = ResizeParams(channels=channels, height=32, width=32, stride=2, fit="stretch")
    how = WindowParams.of(resize, load(f"model.{name}", ModelWindow, RAW))
    stems = {}
    for split in ("train", "val", "test"):
        stems[split] = out / split / split
        stems[split].parent.mkdir(parents=True)
        parts = [footage / kind / split for kind in ("frames", "regions", "flow")]
        cut(stems[split], *parts, how, threads=1)
    return stems


@pytest.mark.parametrize("name", alternatives("vad.models"))
def test_from_video_to_scores(footage, tmp_path, name):
    channels = ["gray", "flow"] if name == "cube" else ["picture"]
    stems = tensors(footage, tmp_path, name, channels)
    train, val = Windows(stems["train"].parent), Windows(stems["val"].parent)
    own = load(f"model.{name}", importlib.import_module(f"vad.models.{name}").Params, RAW)
    fit.fix_seed(0)
    model = models.create(name, own, train.shape, train.channels)
    where = [tmp_path / "reports", tmp_path / "throughput.csv", tmp_path / "cache"]
    plain = {"loss": {"mse": 1.0, "l1": 0.0}, "pseudo": {"kind": "none"}}
    how = params(epochs=1, learning_rate=1e-3, **plain)
    fit.fit(model, train, val, how, *where, lambda line: None)
    models.save(model, tmp_path / "autoencoder")
    model, _ = models.load(tmp_path / "autoencoder")
    score = load("score", ScoreParams, RAW | {"score": RAW["score"] | {"maps": True}})
    for split in ("val", "test"):
        (tmp_path / "errors" / split).mkdir(parents=True)
        out = tmp_path / "errors" / split / "clip"
        parts = [footage / kind / split for kind in ("regions", "flow")]
        measure.score_clip(out, stems[split], *parts, model, None, score, threads=1)
    normal, judged = pooling.read_errors(tmp_path / "errors", {"val/clip": "hall", "test/clip": "hall"})
    for clip in (normal, judged):
        assert list(clip.maps) == [*model.branches, "speed"]
        assert all(np.isfinite(maps).all() and maps.any() for maps in clip.maps.values())
    few = RAW["calibrate"] | {"threshold": RAW["calibrate"]["threshold"] | {"percentile": 90.0}}
    calibration = calibrate([normal], load("calibrate", CalibrateParams, {"calibrate": few}))
    assert calibration.branches == [*model.branches, "speed"]
    scores = calibration.frame_scores(judged)
    assert scores.shape == (FRAMES,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > FRAMES // 4


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = tiny.make(tmp_path_factory.mktemp("models"))
    made.repro()
    made.commit("results")
    return made


def test_one_flag_changes_the_model(project):
    """The windows are those of the new model, what comes before them stays; and back again."""
    project.reset()
    before = project.read("dvc.lock")
    output = project.run("dvc", "exp", "run", "-S", "model.name=conv3d")
    assert ran(output) == following("resize")
    assert "train: conv3d, 7,409 parameters, windows of 1x16x16x16" in output
    card = json.loads(project.read("models/autoencoder/card.json"))
    assert (card["name"], card["input_shape"]) == ("conv3d", [1, 16, 16, 16])
    # a parameter of a model that is not chosen concerns nobody
    project.set({"model.unet.channels": [8, 16], "model.conv2d.channels": [2]})
    assert ran(project.repro()) == set()
    project.run("git", "checkout", "params.yaml")
    assert ran(project.repro()) <= {"summarize"}
    assert project.read("dvc.lock") == before


def test_dvc_goes_on_where_ctrl_c_interrupted_training(project):
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
        project.read(f) for f in ("models/autoencoder/weights.safetensors", "reports/training/history.csv")
    )
    assert len(history.splitlines()) == 1 + 200
    project.run("dvc", "repro", "-f", "-s", "train")
    assert project.read("models/autoencoder/weights.safetensors") == weights
    assert project.read("reports/training/history.csv") == history
    assert not list((project / ".cache/checkpoints").iterdir())
