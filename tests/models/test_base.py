"""Conformance tests of all registered autoencoders, and of the files that store them."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from vad import UserError, models
from vad.branches.network import ReductionParams
from vad.branches.window_errors import WindowErrors
from vad.models import MODELS, Autoencoder, AutoencoderParams, ModelParams, UnusableModel
from vad.models.conv2d import Conv2d
from vad.pipeline.params import load, load_choice, read
from vad.windows.planes import FLOW

PLANES = ("gray", "red", "green")
RAW = read(Path(__file__).resolve().parents[2] / "params.yaml")
NAMES = MODELS.names()
SIDES = (16, 32, 64, 128)  # a model is tested with the first that it accepts


def params_of(name: str) -> AutoencoderParams:
    """The parameters of a model in params.yaml."""
    return load(f"model.{name}", MODELS.get(name).Params, RAW)


def create(name: str, seed: int = 0, planes: tuple[str, ...] = PLANES[:1]) -> Autoencoder:
    torch.manual_seed(seed)
    params = params_of(name)
    for side in SIDES:
        try:
            return models.create(name, params, (len(planes), params.window.frames, side, side), planes)
        except UserError:
            continue
    raise AssertionError(f"{name} takes none of {SIDES}")


def loss(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """A training loss."""
    return (model(x) - model.target(x)).square().mean() + model.penalty()


def batch(model: Autoencoder, n: int = 3) -> torch.Tensor:
    """Windows of smooth pictures without motion."""
    generator = torch.Generator().manual_seed(1)
    planes, frames, height, width = model.shape
    coarse = torch.rand((n * planes, 1, 4, 4), generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return fine.view(n, planes, 1, height, width).expand(-1, -1, frames, -1, -1).contiguous()


each = pytest.mark.parametrize("name", NAMES)


def test_the_models_are_those_of_params_yaml():
    assert set(NAMES) == {key for key, value in RAW["model"].items() if isinstance(value, dict)}


def test_the_model_that_params_yaml_names_is_the_default():
    choice, model, params = load_choice("model", ModelParams, RAW)
    assert (choice.chosen, model, params) == ("cube", MODELS.get("cube"), params_of("cube"))
    assert ModelParams(cube={}).chosen == "cube"


@each
def test_window_is_the_only_required_parameter(name):
    params = MODELS.get(name).Params
    required = [key for key, field in params.model_fields.items() if field.is_required()]
    assert required == ["window"]
    assert all(field.description for field in params.model_fields.values())


@each
@pytest.mark.parametrize("planes", [PLANES[:1], PLANES], ids=["gray", "three"])
def test_output_and_target_have_the_same_shape_and_residuals_are_pictures(name, planes):
    model = create(name, planes=planes)
    x = batch(model, 2)
    model.eval()
    y, target = model(x), model.target(x)
    assert model.inputs(x).shape == (2, *model.input_shape)
    assert y.shape == target.shape == (2, *model.output_shape)
    assert y.dtype == torch.float32
    residuals = model.residuals(x)
    assert list(residuals) == model.branches
    assert 0 <= model.scored_frame < y.shape[2]
    for residual in residuals.values():
        channels, frames = residual.shape[1:3]
        assert residual.shape == (2, channels, frames, *x.shape[3:])
        assert frames in (1, y.shape[2])  # the frame that a window belongs to, or all
        assert residual.isfinite().all()
    if name != "cube":
        torch.testing.assert_close(residual, target - y)


OBJECTIVES = [
    (name, objective)
    for name in NAMES
    if "objective" in (fields := MODELS.get(name).Params.model_fields)
    for objective in get_args(fields["objective"].annotation)
]


@pytest.mark.parametrize(("name", "objective"), OBJECTIVES)
def test_every_objective_of_a_model_can_be_trained(name, objective):
    window = {"frames": max(params_of(name).window.frames, 2), "position": "last"}
    params = params_of(name).model_dump() | {"objective": objective, "window": window}
    planes = ("gray", *FLOW)
    shape = (len(planes), window["frames"], 32, 32)
    model = models.create(name, MODELS.get(name).Params(**params), shape, planes)
    x = batch(model, 2)
    assert model(x).shape == model.target(x).shape == (2, *model.output_shape)
    assert model.inputs(x).shape == (2, *model.input_shape)
    assert list(model.residuals(x)) == model.branches == [models.base.BRANCHES[objective]]
    loss(model, x).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@each
def test_every_parameter_learns(name):
    model = create(name)
    loss(model, batch(model)).backward()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@each
def test_a_model_can_overfit_a_batch(name):
    model = create(name)
    x = batch(model)
    adam = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    while len(losses) < 200 and (len(losses) < 2 or losses[-1] > losses[0] / 2):
        adam.zero_grad()
        now = loss(model, x)
        now.backward()
        adam.step()
        losses.append(now.item())
    assert losses[-1] < losses[0] / 2


@each
def test_weights_and_outputs_depend_only_on_the_seed(name):
    first, same, other = create(name), create(name), create(name, seed=1)
    x = batch(first)
    with torch.inference_mode():
        assert torch.equal(first.eval()(x), same.eval()(x))
        assert torch.equal(first(x), first(x))
        assert not torch.equal(first(x), other.eval()(x))


@each
def test_windows_of_a_batch_do_not_depend_on_each_other(name):
    model = create(name).eval()
    x = batch(model)
    with torch.inference_mode():
        for branch, together in model.residuals(x).items():
            alone = torch.cat([model.residuals(x[i : i + 1])[branch] for i in range(len(x))])
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


@each
def test_a_loaded_model_equals_the_stored_model(name, tmp_path):
    model = create(name).eval()
    models.save(model, tmp_path / "a", best={"epoch": 3, "val_loss": 0.5})
    back, card = models.load(tmp_path / "a")
    x = batch(model)
    with torch.inference_mode():
        assert torch.equal(back(x), model(x))
    assert type(back) is type(model)
    assert not back.training
    assert card == {
        "name": name,
        "params": params_of(name).model_dump(),
        "window_shape": list(model.shape),
        "window_axes": "planes, frames, height, width",
        "normalisation": "uint8 / 255",
        "parameters": sum(p.numel() for p in model.parameters()),
        "channels": ["gray"],
        "best": {"epoch": 3, "val_loss": 0.5},
    }
    models.save(back, tmp_path / "b", best={"epoch": 3, "val_loss": 0.5})
    for file in ("card.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert models.fingerprint(tmp_path / "a") == models.fingerprint(tmp_path / "b")


@each
def test_windows_of_another_shape_are_refused(name):
    model = create(name).eval()
    planes, frames, height, width = model.shape
    for shape in [
        (2, frames, height, width),
        (planes, frames + 1, height, width),
        (planes, frames, 8, width),
    ]:
        with pytest.raises(UserError, match=r"made for windows of .+, these are .+; run `dvc repro train`"):
            WindowErrors(model, ReductionParams()).measure(np.zeros((2, *shape), np.uint8), pixels=False)


@each
def test_uint8_is_scaled_to_0_to_1(name):
    model = create(name).eval()
    x = (batch(model, 2) * 255).round()
    with torch.inference_mode():
        residuals = model.residuals(x / 255)
    measured = WindowErrors(model, ReductionParams(reduce_flow="mean")).measure(x.byte().numpy(), pixels=True)
    assert list(measured.errors) == list(measured.pixels) == list(residuals) == model.branches
    for branch, residual in residuals.items():
        of_windows = (residual**2).mean((1, 2, 3, 4)).numpy()
        np.testing.assert_allclose(measured.errors[branch], of_windows, rtol=1e-4)
        shown = residual[:, :, model.scored_frame if residual.shape[2] > 1 else 0]
        assert measured.pixels[branch].shape == (1, 2, *x.shape[3:])
        of_pixels = (shown**2).mean(1).numpy()
        np.testing.assert_allclose(measured.pixels[branch][0], of_pixels, rtol=1e-4, atol=1e-6)


@each
def test_models_are_named_after_their_modules(name):
    model = create(name)
    assert (model.name, type(model).__module__) == (name, f"vad.models.{name}")
    assert type(model).__doc__
    assert model.describe().startswith(f"{name}, {sum(p.numel() for p in model.parameters()):,} parameters")


def settings(channels: list[int], frames: int = 1) -> Conv2d.Params:
    return Conv2d.Params(window={"frames": frames}, channels=channels)


def test_conv2d_has_the_documented_number_of_parameters():
    model = models.create("conv2d", settings([32, 64, 128]), (1, 1, 64, 64))
    assert model.describe() == "conv2d, 332,801 parameters, windows of 1x1x64x64"
    kinds = [type(layer).__name__ for layer in model.net]
    down, up = ["Conv2d", "MaxPool2d", "ReLU"], ["UpConv2d", "ReLU"]
    assert kinds == down * 3 + ["Conv2d", "ReLU", *up, *up, "UpConv2d", "Sigmoid"]
    convolutions = [layer.out_channels for layer in model.net if isinstance(layer, torch.nn.Conv2d)]
    assert convolutions == [32, 64, 128, 128, 64, 32, 1]


def test_conv2d_codes_the_frames_of_a_window_independently():
    model = models.create("conv2d", settings([4], frames=3), (1, 3, 8, 8)).eval()
    x = torch.rand(2, 1, 3, 8, 8)
    with torch.inference_mode():
        of_frames = models.create("conv2d", settings([4]), (1, 1, 8, 8)).eval()
        of_frames.load_state_dict(model.state_dict())
        single = torch.stack([of_frames(x[:, :, t : t + 1])[:, :, 0] for t in range(3)], 2)
        torch.testing.assert_close(model(x), single)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 60, 64), r"conv2d needs resize\.height divisible by 8, got 60: try 56 or 64"),
        ((1, 1, 64, 9), r"conv2d needs resize\.width divisible by 8, got 9: try 8 or 16"),
        ((1, 1, 4, 64), r"resize\.height divisible by 8, got 4: try 8$"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(shape, message):
    with pytest.raises(UserError, match=message):
        models.create("conv2d", settings([1, 1, 1]), shape)


def test_tensors_with_another_number_of_frames_are_refused():
    message = r"windows of 3 frames, but model\.conv2d\.window\.frames = 1; run `dvc repro resize`"
    with pytest.raises(UserError, match=message):
        models.create("conv2d", settings([4]), (1, 3, 8, 8))


OTHER = {
    "window": {"frames": 1, "frame_interval": 0.0, "position": "middle"},
    "objective": "reconstruct",
    "channels": [4],
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    model = models.create("conv2d", settings([4]), (1, 1, 16, 16), ["gray"])
    models.save(model, tmp_path / "autoencoder")
    return tmp_path / "autoencoder"


def test_nothing_stored_is_a_pickle(stored):
    assert sorted(p.name for p in stored.iterdir()) == ["card.json", "weights.safetensors"]
    weights = (stored / "weights.safetensors").read_bytes()
    length = int.from_bytes(weights[:8], "little")  # the format: length, JSON, numbers
    assert "net.0.weight" in json.loads(weights[8 : 8 + length])


@pytest.mark.parametrize("file", ["card.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"junk", b"\x80\x04]\x94.", b"{" * 100])
def test_a_broken_file_is_refused(stored, file, content):
    if content is None:
        (stored / file).unlink()
    else:
        (stored / file).write_bytes(content)
    with pytest.raises(UserError, match=r"autoencoder: no usable autoencoder \(.+\); run `dvc repro train`"):
        models.load(stored)


def test_truncated_weights_are_refused(stored):
    file = stored / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(UserError, match="no usable autoencoder"):
        models.load(stored)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "nosuch"},
        {"params": OTHER | {"channels": [8]}},  # another architecture than the weights
        {"params": OTHER | {"channels": [4, 4]}},
        {"params": OTHER | {"window": {"frames": 2}}},
        {"params": OTHER | {"window": {"frames": 1, "step": 1}}},  # of an earlier version
        {"params": {}},
        {"params": OTHER | {"more": 1}},
        {"window_shape": [3, 1, 16, 16]},
        {"window_shape": [1, 16, 16]},
        {"name": None},
        {"name": "__init__"},
        {"name": "base"},
        {"params": None},
        {"window_shape": None},
    ],
    ids=str,
)
def test_a_card_that_does_not_fit_is_refused(stored, changed):
    card = json.loads((stored / "card.json").read_text())
    (stored / "card.json").write_text(json.dumps(card | changed))
    with pytest.raises(UnusableModel) as caught:
        models.load(stored)
    assert (
        str(caught.value) == f"{stored}: no usable autoencoder ({caught.value.reason}); run `dvc repro train`"
    )
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("content", ["[]", "null", "3"])
def test_a_card_of_another_kind_is_refused(stored, content):
    (stored / "card.json").write_text(content)
    with pytest.raises(UserError, match="no usable autoencoder"):
        models.load(stored)


@pytest.mark.parametrize("file", ["card.json", "weights.safetensors"])
def test_the_fingerprint_changes_with_any_byte(stored, file):
    before = models.fingerprint(stored)
    data = bytearray((stored / file).read_bytes())
    data[-2] ^= 1
    (stored / file).write_bytes(data)
    assert models.fingerprint(stored) != before


# -- single pictures


@each
@pytest.mark.parametrize("planes", [PLANES, ("gray", *FLOW), (*PLANES[:2], "difference"), ("masked_gray",)])
def test_single_frame_errors_depend_on_no_other_frame(name, planes):
    model = create(name, planes=planes).eval()
    names = set(model.single_frame)
    assert names <= set(model.branches)
    if set(planes) & {"difference", "masked_gray"}:
        assert not names
    x = torch.rand((2, *model.shape), generator=torch.Generator().manual_seed(1))
    at = model.scored_frame
    y = x[:, :, at : at + 1].expand_as(x).clone()
    flow = [i for i, plane in enumerate(planes) if plane in FLOW]
    y[:, flow] = 0.5  # nothing moves in a picture
    with torch.inference_mode():
        before, after = model.residuals(x), model.residuals(y)
    for branch in names:
        torch.testing.assert_close(before[branch], after[branch])


def test_models_of_single_frames_and_the_appearance_of_cubes_judge_pictures():
    assert create("conv2d").single_frame == ["reconstruction"]
    assert create("cube", planes=("gray", *FLOW)).single_frame == ["appearance"]
    assert create("cube", planes=FLOW).single_frame == []
    assert create("conv3d").single_frame == create("convlstm").single_frame == []
