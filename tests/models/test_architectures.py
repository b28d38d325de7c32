"""Tests of convlstm, conv3d, memae, unet and cube; test_base.py has the tests of all models."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vad import UserError, models
from vad.models import MODELS, Autoencoder
from vad.models.base import Shape
from vad.models.convlstm import ConvLSTM
from vad.models.layers import UpConv2d, decoder, encoder
from vad.models.memae import Memory
from vad.windows.planes import STILL_INPUT as STILL

SMALL = {
    "convlstm": {"objective": "reconstruct", "filters": [6, 4], "hidden": [4, 2, 4]},
    "conv3d": {"objective": "reconstruct", "preset": "small"},
    "memae": {
        "backbone": "conv2d",
        "channels": [4, 8],
        "slots": 20,
        "addressing": "cosine",
        "shrinkage": 0.05,
        "entropy": 0.01,
    },
    "unet": {"objective": "predict", "channels": [4, 8]},
    "cube": {"hidden": 16, "latent_appearance": 8, "latent_flow": 4},
}
PUBLISHED = {
    "convlstm": {"filters": [128, 64], "hidden": [64, 32, 64]},
    "conv3d": {"preset": "memae"},
    "memae": {
        "backbone": "conv3d",
        "channels": [96, 128, 256, 256],
        "slots": 2000,
        "addressing": "dot",
        "shrinkage": 0.0025,
    },
}
BOTH = ("gray", "flow_x", "flow_y")


def create(name: str, shape: Shape, planes=BOTH, position: str | None = None, **changed) -> Autoencoder:
    torch.manual_seed(0)
    window = {"frames": shape[1], "position": position or ("last" if name == "unet" else "middle")}
    params = MODELS.get(name).Params(window=window, **SMALL[name] | changed)
    return models.create(name, params, shape, planes[: shape[0]]).eval()


def windows(model: Autoencoder, n: int = 2) -> Tensor:
    return torch.rand((n, *model.shape), generator=torch.Generator().manual_seed(1))


def changed(x: Tensor, *index) -> Tensor:
    y = x.clone()
    y[index] = 1 - y[index]
    return y


# -- sizes


@pytest.mark.parametrize(
    ("name", "shape", "code", "parameters"),
    [
        # convolutions 15,616 + 204,864; LSTMs 295,168 + 110,720 + 221,440; back 204,928 + 15,489
        ("convlstm", (1, 10, 227, 227), (10, 64, 26, 26), 958_017),
        # 27 * (96 + 96 * 128 + 128 * 256 + 256 * 256) there and back, norms 2 * (736 + 480), a last bias
        ("conv3d", (1, 16, 256, 256), (1, 256, 2, 16, 16), 5_979_585),
        ("memae", (1, 16, 256, 256), (1, 256, 2, 16, 16), 5_979_585 + 2000 * 256),
    ],
)
def test_networks_have_the_published_numbers_of_parameters(name, shape, code, parameters):
    with torch.device("meta"):  # shapes without memory
        model = create(name, shape, **PUBLISHED[name])
        x = torch.empty(1, *shape)
        codes = []
        model.encoder.register_forward_hook(lambda module, given, made: codes.append(tuple(made.shape)))
        assert model(x).shape == x.shape
    assert codes == [code]
    assert model.describe().startswith(f"{name}, {parameters:,} parameters")


def test_convlstm_has_the_published_sides():
    with torch.device("meta"):
        model = create("convlstm", (1, 10, 227, 227), **PUBLISHED["convlstm"])
        z, sides = torch.empty(10, 1, 227, 227), [227]
        for layer in (*model.encoder, *model.decoder):
            z = layer(z)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                sides.append(z.shape[-1])
    assert model.pad == [0, 0, 0, 0]
    assert sides == [227, 55, 26, 55, 227]


def test_the_small_conv3d_is_small():
    # 27 * (8 + 8 * 16) there and back, norms 2 * (24 + 8), a last bias
    assert create("conv3d", (1, 16, 64, 64)).describe().startswith("conv3d, 7,409 parameters")


@pytest.mark.parametrize(("height", "width"), [(27, 27), (32, 35), (29, 64), (34, 28)])
def test_convlstm_takes_any_side_from_27(height, width):
    model = create("convlstm", (1, 2, height, width)).double()  # untrained outputs hardly differ
    x = windows(model).double()
    assert model(x).shape == x.shape
    # the last pixels affect the output and depend on the input, like all others
    corner = (slice(None), slice(None), 0, -1, -1)
    assert not torch.equal(model(changed(x, *corner)), model(x))
    assert model(x)[corner].std() > 0


@pytest.mark.parametrize("strides", [[(2, 2)], [(1, 2), (2, 1)], [(1, 2, 2), (2, 2, 2)]], ids=str)
def test_decoder_mirrors_encoder(strides):
    size = (8,) * len(strides[0])
    channels = [3, 5][: len(strides)]
    z = encoder(2, channels, strides)(torch.rand(1, 2, *size))
    total = np.prod(strides, axis=0)
    assert z.shape == (1, channels[-1], *(8 // total))
    assert decoder(7, channels, strides)(z).shape == (1, 7, *size)


@pytest.mark.parametrize(
    ("name", "shape", "changed", "message"),
    [
        ("convlstm", (1, 2, 26, 40), {}, r"resize\.height and .+width of at least 27, got 26 and 40: try 32"),
        ("conv3d", (1, 16, 62, 64), {}, r"resize\.height divisible by 4, got 62: try 60 or 64$"),
        (
            "conv3d",
            (1, 10, 64, 64),
            {},
            r"small needs model\.conv3d\.window\.frames divisible by 4, got 10: try 12$",
        ),
        (
            "conv3d",
            (1, 12, 64, 64),
            {"preset": "memae"},
            r"memae needs .+window\.frames divisible by 8, got 12: try 16$",
        ),
        (
            "conv3d",
            (1, 16, 64, 24),
            {"preset": "memae"},
            r"resize\.width divisible by 16, got 24: try 16 or 32",
        ),
        ("memae", (1, 1, 30, 32), {}, r"resize\.height divisible by 4, got 30: try 28 or 32"),
        (
            "memae",
            (1, 3, 32, 32),
            {"backbone": "conv3d"},
            r"model\.memae\.window\.frames divisible by 2, got 3: try 4$",
        ),
        (
            "memae",
            (1, 1, 32, 32),
            {"shrinkage": 0.2},
            r"shrinkage = 0\.2 with 20 slots .+ from 0\.05 to 0\.15",
        ),
        ("unet", (1, 3, 32, 33), {}, r"unet needs resize\.width divisible by 2, got 33: try 32 or 34"),
        ("unet", (1, 1, 32, 32), {}, r"model\.unet: objective predict needs window\.frames at least 2"),
        ("unet", (1, 3, 32, 32), {"position": "middle"}, r"position last, got 3 and middle"),
        ("unet", (1, 3, 32, 32), {"objective": "translate"}, r"planes of appearance and of flow, got gray"),
        ("cube", (1, 3, 16, 17), {}, r"cube needs resize\.width divisible by 2, got 17: try 16 or 18"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(name, shape, changed, message):
    with pytest.raises(UserError, match=message):
        create(name, shape, **changed)


@pytest.mark.parametrize("name", ["convlstm", "conv3d", "unet"])
def test_translation_outputs_the_flow_planes_from_the_appearance_planes(name):
    model = create(name, (3, 4, 32, 32), objective="translate")
    x = windows(model)
    assert model(x).shape == model.target(x).shape == (2, 2, 4, 32, 32)
    assert torch.equal(model(changed(x, slice(None), [1, 2])), model(x))
    assert not torch.equal(model(changed(x, slice(None), 0)), model(x))
    assert list(model.residuals(x)) == ["translation"]


# -- convlstm


def test_the_conv_lstm_equals_its_equations():
    torch.manual_seed(0)
    cell, size = ConvLSTM(2, 3), 3
    x = torch.randn(2, 4, 2, 5, 4)  # (B, T, C, h, w)
    w_in, w_hidden = cell.from_input.weight.detach().numpy(), cell.from_hidden.weight.detach().numpy()
    bias = cell.from_input.bias.detach().numpy()

    def product(w, z):  # (O, I, 3, 3) and (I, h, w): sums written out
        padded = np.pad(z, ((0, 0), (1, 1), (1, 1)))
        made = np.zeros((len(w), *z.shape[1:]))
        for r in range(z.shape[1]):
            for c in range(z.shape[2]):
                made[:, r, c] = (w * padded[None, :, r : r + 3, c : c + 3]).sum((1, 2, 3))
        return made

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    with torch.inference_mode():
        made = cell(x).numpy()
    for b in range(2):
        h = c = np.zeros((size, 5, 4))
        for t in range(4):
            gates = product(w_in, x[b, t].numpy()) + bias[:, None, None] + product(w_hidden, h)
            i, f, o, g = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size :]
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            np.testing.assert_allclose(made[b, t], h, rtol=1e-4, atol=1e-6)


def test_convlstm_depends_on_the_past_and_not_on_the_future():
    model = create("convlstm", (1, 5, 32, 32))
    x = windows(model)
    with torch.inference_mode():
        difference = (model(x) - model(changed(x, slice(None), 0, 2))).abs().amax((0, 1, 3, 4))
    assert (difference[:2] == 0).all()
    assert (difference[2:] > 0).all()


# -- layers


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 4, 5)], ids=str)
def test_up_conv_is_upsampling_and_a_convolution(shape, bias):
    """Output and gradients, edges included, equal those of upsampling and convolution in two steps."""
    torch.manual_seed(0)
    layer = UpConv2d(3, 4, bias)
    plain = torch.nn.Conv2d(3, 4, 3, padding=1, bias=bias)
    plain.load_state_dict(layer.state_dict())
    x, y = (torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    got, expected = layer(x), plain(torch.nn.functional.interpolate(y, scale_factor=2))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    got.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-5)
    for a, b in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


# -- memae


def test_the_memory_by_hand():
    memory = Memory(3, 2, shrinkage=0.2, cosine=True)
    memory.slots.data = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    # The vector (3, 4) has the cosines 0.6, 0.8, -0.6. Their exponentials 1.822119, 2.225541, 0.548812 add up
    # to 4.596472: weights 0.396417, 0.484184, 0.119398. The last is below 0.2; the others add up to 0.880601:
    # 0.450166, 0.549834. So 0.450166 (2, 0) + 0.549834 (0, 5) = (0.900332, 2.749170).
    made, weights = memory(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(weights[0, 0], torch.tensor([0.450166, 0.549834, 0.0]), rtol=0, atol=2e-6)
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.900332, 2.749170]), rtol=0, atol=1e-5)


def test_the_memory_outputs_0_if_shrinkage_removes_all_weights():
    memory = Memory(3, 2, shrinkage=0.9, cosine=True)
    made, weights = memory(torch.rand(1, 2, 4))
    assert not made.any()
    assert not weights.any()


@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (2, 6, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("times", [0, 1, 1.5])  # shrinkage in units of 1 / slots
@pytest.mark.parametrize("cosine", [True, False])
def test_the_memory_against_numpy(shape, times, cosine):
    torch.manual_seed(0)
    memory = Memory(11, 6, shrinkage=times / 11, cosine=cosine)
    z = torch.randn(shape)
    with torch.inference_mode():
        made, weights = memory(z)
    slots = memory.slots.detach().numpy().astype(np.float64)
    for b in range(2):
        for p, where in enumerate(np.ndindex(*shape[2:])):
            q = z[(b, slice(None), *where)].numpy().astype(np.float64)
            like = slots @ q
            if cosine:
                like = like / np.linalg.norm(slots, axis=1) / np.linalg.norm(q)
            w = np.exp(like) / np.exp(like).sum()
            w = np.where(w > times / 11, w, 0)
            if times <= 1:
                assert w.any()
            w = w / max(w.sum(), 1e-12)
            np.testing.assert_allclose(weights[b, p], w, atol=1e-5)
            np.testing.assert_allclose(made[(b, slice(None), *where)], w @ slots, atol=1e-5)


def test_the_penalty_is_the_entropy_of_the_weights():
    model = create("memae", (1, 2, 8, 8), planes=["gray"])
    assert model.penalty() == 0
    x = windows(model)
    weights = []
    model.memory.register_forward_hook(lambda module, given, made: weights.append(made[1]))
    model(x)
    w = weights[0].detach().numpy().astype(np.float64)
    assert w.shape == (2 * 2, 2 * 2, 20)  # windows and frames, positions, slots
    per_position = [-sum(v * math.log(v) for v in row if v > 0) for row in w.reshape(-1, 20)]
    torch.testing.assert_close(model.penalty().item(), 0.01 * float(np.mean(per_position)), rtol=1e-4, atol=0)
    model.penalty().backward()
    assert model.memory.slots.grad.abs().sum() > 0


def test_a_model_with_a_penalty_can_be_copied():
    model = create("memae", (1, 1, 8, 8), planes=["gray"])
    x = windows(model)
    y = model(x)
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same.penalty() == 0
        assert torch.equal(same(x), y)
    assert model.penalty() > 0


def test_the_backbone_decides_whether_frames_are_coded_together():
    for backbone, together in (("conv2d", False), ("conv3d", True)):
        model = create("memae", (1, 4, 16, 16), planes=["gray"], backbone=backbone)
        x = windows(model)
        other = (model(x) - model(changed(x, slice(None), 0, 3)))[:, :, 2]
        assert other.any() == together


# -- unet


def test_unet_predicts_a_frame_that_is_not_among_its_inputs():
    model = create("unet", (2, 4, 16, 16), planes=["red", "green"])
    x = windows(model)
    y = model(x)
    assert y.shape == (2, 2, 1, 16, 16)
    assert torch.equal(model.target(x), x[:, :, 3:])
    assert torch.equal(model(changed(x, slice(None), slice(None), 3)), y)
    for t in range(3):
        assert not torch.equal(model(changed(x, slice(None), slice(None), t)), y)


@pytest.mark.parametrize("cut", ["up", "skip"])
def test_unet_uses_skip_connections_and_deeper_levels(cut):
    model = create("unet", (1, 3, 16, 16), planes=["gray"], objective="reconstruct")
    x = windows(model)
    half = changed(x, slice(None), slice(None), 0, 3, 3)
    for up, join in zip(model.up, model.join, strict=True):
        first = join[0].weight.data
        b = first.shape[0]
        assert first.shape[1] == 2 * b  # skip, up
        assert up.out_channels == b
        first[:, b:] = 0 if cut == "up" else first[:, b:]
        first[:, :b] = 0 if cut == "skip" else first[:, :b]
    difference = (model(x) - model(half)).abs().amax((0, 1, 2))
    assert difference.any()
    # two convolutions down, two after the skip, and the last reach 5 pixels; what is below reaches farther
    assert difference[3 + 6 :].any() == (cut == "skip")


# -- cube


def test_cube_has_a_branch_for_each_kind_of_plane():
    for planes, branches in [
        (["gray"], ["appearance"]),
        (["flow_x", "flow_y"], ["flow"]),
        (["flow_x", "gray", "flow_y"], ["appearance", "flow"]),
        (["red", "green", "blue"], ["appearance"]),
    ]:
        model = create("cube", (len(planes), 3, 8, 12), planes=planes)
        residuals = model.residuals(windows(model))
        assert list(residuals) == model.branches == branches
        shapes = {"appearance": (2, len(set(planes) - set(BOTH[1:])), 1, 8, 12), "flow": (2, 2, 3, 8, 12)}
        assert all(r.shape == shapes[branch] for branch, r in residuals.items())


def test_cube_branches_do_not_depend_on_each_other():
    model = create("cube", (3, 3, 8, 8), planes=["flow_x", "gray", "flow_y"])
    x = windows(model)
    before = model.residuals(x)
    for plane, changes, stays in [
        (1, "appearance", "flow"),
        (0, "flow", "appearance"),
        (2, "flow", "appearance"),
    ]:
        after = model.residuals(changed(x, slice(None), plane, 1, slice(3)))
        assert torch.equal(after[stays], before[stays])
        assert not torch.equal(after[changes], before[changes])


@pytest.mark.parametrize(("position", "frame"), [("middle", 1), ("last", 3)])
def test_cube_codes_the_appearance_of_a_single_frame_and_the_flow_of_all_frames(position, frame):
    """Other frames than that of the window are neither input nor target of the appearance network."""
    model = create("cube", (3, 4, 8, 8), planes=["flow_x", "gray", "flow_y"], position=position)
    x = windows(model)
    before = model.residuals(x)
    for t in range(4):
        after = model.residuals(changed(x, slice(None), slice(None), t, slice(3)))
        assert torch.equal(after["appearance"], before["appearance"]) == (t != frame)
        assert not torch.equal(after["flow"], before["flow"])
    for y in (model(x), model.target(x)):
        assert [bool(y[:, 1, t].any()) for t in range(4)] == [t == frame for t in range(4)]
        assert all(y[:, [0, 2], t].any() for t in range(4))


def test_cube_residuals_have_the_planes_of_their_branch():
    model = create("cube", (3, 3, 8, 8), planes=["flow_x", "gray", "flow_y"])
    x = windows(model)
    residual = model.target(x) - model(x)
    assert residual.shape == x.shape
    torch.testing.assert_close(model.residuals(x)["appearance"], residual[:, 1:2, 1:2])
    torch.testing.assert_close(model.residuals(x)["flow"], residual[:, [0, 2]])


def in_blocks(x: Tensor) -> Tensor:
    """Replaces 2 x 2 pixels by their mean."""
    pairs = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    return pairs.repeat_interleave(2, -2).repeat_interleave(2, -1)


def test_cube_codes_flow_in_blocks_of_2_x_2_pixels():
    model = create("cube", (3, 3, 8, 8))
    x = windows(model)
    coarse = x.clone()
    coarse[:, 1:] = in_blocks(x[:, 1:])
    torch.testing.assert_close(model(coarse), model(x))
    torch.testing.assert_close(model.target(x)[:, 1:], coarse[:, 1:] - STILL)
    torch.testing.assert_close(in_blocks(model(x)[:, 1:]), model(x)[:, 1:])
    assert not torch.allclose(in_blocks(model(x)[:, :1]), model(x)[:, :1])


def test_cube_works_in_standardised_units():
    model = create("cube", (3, 3, 8, 8))
    x = windows(model, 50)
    x[:, 1:] = x[:, 1:, :, :4, :4].repeat_interleave(2, 3).repeat_interleave(2, 4)
    x[:, 1] = STILL + (x[:, 1] - 0.3) * 0.1  # mostly to the right
    x[:, 2] = STILL + (x[:, 2] - 0.5) * 0.05
    torch.testing.assert_close(model.target(x)[:, 1:], x[:, 1:] - STILL)  # until it is adapted
    model.adapt(x)
    z = model.target(x)
    torch.testing.assert_close(z[:, 1:].square().mean((0, 2, 3, 4)), torch.ones(2))
    assert z[:, 1].mean() > 0.4  # rest stays 0, not the mean
    twice = STILL + 2 * (x - STILL)
    torch.testing.assert_close(model.target(twice)[:, 1:], 2 * z[:, 1:], rtol=1e-3, atol=1e-3)
    target, crop = z[:, 0, model.scored_frame], x[:, 0, model.scored_frame]
    torch.testing.assert_close(target.mean((1, 2)), torch.zeros(50), rtol=0, atol=1e-5)
    deviation = crop.std((1, 2), correction=0)
    torch.testing.assert_close(target.std((1, 2), correction=0), deviation / (deviation + 0.05))


def test_cube_does_not_divide_by_zero():
    model = create("cube", (3, 3, 8, 8))
    x = torch.full((2, *model.shape), STILL)
    model.adapt(x)
    assert not model.target(x).any()
    assert all(r.isfinite().all() for r in model.residuals(x).values())


def test_cube_stores_the_scale_of_flow(tmp_path):
    model = create("cube", (3, 3, 8, 8))
    x = windows(model)
    model.adapt(x)
    models.save(model, tmp_path)
    back, _ = models.load(tmp_path)
    assert torch.equal(back.target(x), model.target(x))
    assert torch.equal(back(x), model(x))
