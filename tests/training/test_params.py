"""The section `train`: it needs no torch, and refuses unsuitable windows and models."""

import copy
import subprocess
import sys

import pytest

from tests.training.trained import ROOT, Trained, params, wandering_square
from tests.windows.tensors import tensor_spec
from vad import UserError, check
from vad.models import create
from vad.models.mlp import Mlp
from vad.pipeline import params as params_file
from vad.training.params import LossParams, PseudoParams


def test_the_parameters_need_no_torch():
    code = "import sys, vad.training.params; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_loss_without_terms_is_refused():
    with pytest.raises(ValueError, match="all weights are 0"):
        LossParams(mse=0.0, l1=0.0)


def test_pseudo_anomalies_that_outweigh_normal_windows_are_refused():
    with pytest.raises(ValueError, match=r"set share below 0\.5"):
        PseudoParams(goal="repel", share=0.5)
    PseudoParams(goal="repel", share=0.01)
    PseudoParams(goal="repel", share=0.5, kind="none")


def test_a_range_of_factors_that_falls_is_refused():
    with pytest.raises(ValueError, match="must not exceed"):
        PseudoParams(factors=[4.0, 2.0])


@pytest.mark.parametrize(
    ("kind", "planes", "frames", "message"),
    [
        ("jitter", ["gray"], 5, r"put flow into resize\.channels"),
        ("skip_frame", ["gray"], 1, "windows of at least 2 frames"),
        ("jitter", ["flow_x", "flow_y"], 1, None),
        ("skip_frame", ["gray"], 2, None),
        ("none", ["gray"], 1, None),
    ],
)
def test_pseudo_anomalies_need_windows_that_can_be_altered(kind, planes, frames, message):
    check_windows(params(pseudo={"kind": kind}), planes, frames, message)


@pytest.mark.parametrize(
    ("planes", "frames", "fine"),
    [(["gray"], 1, False), (["gray"], 2, True), (["flow_x", "flow_y"], 1, True), (["difference"], 1, True)],
)
def test_the_weight_of_motion_needs_windows_that_show_motion(planes, frames, fine):
    message = None if fine else r"train\.motion_weight needs windows"
    check_windows(params(motion_weight=1.0), planes, frames, message)


def check_windows(train, planes: list[str], frames: int, message: str | None) -> None:
    if message is None:
        train.require(planes, frames)
    else:
        with pytest.raises(UserError, match=message):
            train.require(planes, frames)


@pytest.mark.parametrize(
    "changed", [{"motion_weight": 1.0}, {"pseudo": {"kind": "jitter"}}, {"pseudo": {"kind": "skip_frame"}}]
)
def test_fit_checks_the_windows(data, tmp_path, changed):
    with pytest.raises(UserError, match=r"train\.(motion_weight needs|pseudo\.kind = )"):
        Trained(data, tmp_path, **changed)


def test_the_check_of_params_yaml_checks_the_windows_as_well(monkeypatch):
    monkeypatch.chdir(ROOT)
    raw = copy.deepcopy(params_file.read())
    raw["resize"] |= {"channels": ["gray"], "height": 64, "width": 64}
    raw["model"]["name"] = "conv2d"
    raw["train"]["pseudo"]["kind"] = "skip_frame"
    with pytest.raises(UserError, match="windows of at least 2 frames"):
        check.verify(raw)
    raw["model"]["name"] = "conv3d"
    check.verify(raw)
    raw["resize"]["width"] = 66
    with pytest.raises(UserError, match=r"conv3d needs resize\.width divisible by 4, got 66: try 64 or 68"):
        check.verify(raw)


@pytest.mark.parametrize(
    "changed",
    [{"pseudo": {"kind": "skip_frame"}}, {"motion_weight": 1.0}, {"loss": {"l1": 1.0}}, {"devices": 2}],
    ids=str,
)
def test_what_scikit_learn_cannot_do_is_refused(tmp_path, changed):
    spec = tensor_spec(16, 16, frames=2)
    both = {s: wandering_square(tmp_path, s, 12, spec) for s in ("train", "val")}
    small = Mlp.Params.model_validate({"window": {"frames": 2}, "hidden": [8]})
    model = create("mlp", small, both["train"].shape, ["gray"])
    with pytest.raises(UserError, match=r"train\.\w+.*: scikit-learn, which fits the model mlp"):
        Trained(both, tmp_path / "run", model=model, **changed)
