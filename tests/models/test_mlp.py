"""The fully connected autoencoders: vad.models.mlp compared with scikit-learn, and vad.models.dense."""

import warnings

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from vad import UserError, models
from vad.models import Autoencoder, mlp
from vad.models.dense import Dense
from vad.models.mlp import Mlp
from vad.pipeline.params import Section

SHAPE = (2, 3, 4, 5)


class Train(Section):
    """The keys of the section `train` that mlp uses."""

    epochs: int = 12
    batch_size: int = 16
    learning_rate: float = 0.005
    early_stopping: int = 4
    seed: int = 7


TRAIN = Train()


def create(hidden=(24, 6, 24), shape=SHAPE) -> Autoencoder:
    torch.manual_seed(0)
    params = Mlp.Params(window={"frames": shape[1]}, hidden=list(hidden))
    return models.create("mlp", params, shape, ["gray", "difference"][: shape[0]])


@pytest.fixture
def windows() -> np.ndarray:
    """Mixtures of three pictures; a pixel is constant, and another nearly constant."""
    rng = np.random.default_rng(3)
    mixed = rng.random((80, 3)) @ rng.random((3, int(np.prod(SHAPE)))) / 3
    mixed[:, 17] = 0.2
    mixed[:, 18] = 0.5 + mixed[:, 18] / 100
    return to_bytes(mixed).astype(np.float32).reshape(80, *SHAPE) / 255


def to_bytes(x: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8, as tensors are stored."""
    return np.rint(x * 255).astype(np.uint8)


def fit(model: Autoencoder, x: np.ndarray, train: Section) -> list[float]:
    losses, best = model.fit_at_once(to_bytes(x), train)
    assert 0 <= best < len(losses)
    return losses


def with_sklearn(x: np.ndarray, train: Train, hidden=(24, 6, 24)):
    flat = x.reshape(len(x), -1)
    scaler = MinMaxScaler()
    network = MLPRegressor(
        hidden_layer_sizes=hidden,
        max_iter=train.epochs,
        batch_size=train.batch_size,
        learning_rate_init=train.learning_rate,
        early_stopping=True,
        n_iter_no_change=train.early_stopping,
        random_state=train.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(scaler.fit_transform(flat), scaler.transform(flat))
    return make_pipeline(scaler, network)


def test_mlp_equals_the_network_that_scikit_learn_fits(windows):
    model, reference = create(), with_sklearn(windows, TRAIN)
    scaler, network = reference[0], reference[1]
    losses = fit(model, windows, TRAIN)

    assert losses == pytest.approx([2 * loss for loss in network.loss_curve_])
    assert len(losses) == network.n_iter_
    assert losses[-1] < losses[0] / 1.5
    linear = [layer for layer in model.net if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [24, 6, 24, np.prod(SHAPE)]
    for layer, weight, bias in zip(linear, network.coefs_, network.intercepts_, strict=True):
        np.testing.assert_array_equal(layer.weight.detach().numpy(), weight.T)
        np.testing.assert_array_equal(layer.bias.detach().numpy(), bias)

    others = np.random.default_rng(4).random((9, *SHAPE), dtype=np.float32)
    others.reshape(9, -1)[:, 18] = 0.5  # scaled, others would be a hundred times as large
    for x in (windows, others):
        flat = x.reshape(len(x), -1)
        with torch.inference_mode():
            made, target = model(torch.from_numpy(x)), model.target(torch.from_numpy(x))
            (residual,) = model.residuals(torch.from_numpy(x)).values()
        assert made.shape == target.shape == x.shape
        assert made.dtype == target.dtype == torch.float32
        np.testing.assert_allclose(made.reshape(flat.shape), reference.predict(flat), atol=1e-4)
        np.testing.assert_allclose(target.reshape(flat.shape), scaler.transform(flat), atol=1e-4)
        by_hand = (scaler.transform(flat) - reference.predict(flat)).reshape(x.shape)
        np.testing.assert_allclose(residual, by_hand, atol=2e-4)


def test_fitting_does_not_change_the_windows(windows):
    before = windows.copy()
    fit(create(), windows, TRAIN)
    np.testing.assert_array_equal(windows, before)


def test_the_fit_repeats_and_depends_on_the_seed(windows):
    first, same, other = create(), create(), create()
    fit(first, windows, TRAIN)
    torch.manual_seed(5)  # torch's seed has no effect
    fit(same, windows, TRAIN)
    fit(other, windows, TRAIN.model_copy(update={"seed": 8}))
    for name, value in first.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(first.net[0].weight, other.net[0].weight)


def test_early_stopping_ends_the_fit(windows):
    losses = fit(create(), windows, TRAIN.model_copy(update={"epochs": 500, "learning_rate": 0.05}))
    assert 5 < len(losses) < 500


def test_warnings_of_scikit_learn_are_not_shown(windows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(create(), windows, TRAIN.model_copy(update={"epochs": 1, "batch_size": 1000}))


def test_a_constant_pixel_has_scale_1(windows):
    model = create()
    fit(model, windows, TRAIN)
    assert model.low.flatten()[17] == pytest.approx(0.2)
    assert model.span.flatten()[17] == 1
    x = torch.full((1, *SHAPE), 0.75)
    assert model.target(x).flatten()[17] == pytest.approx(0.55)
    black = create()
    assert np.isfinite(fit(black, np.zeros_like(windows), TRAIN)).all()
    with torch.inference_mode():
        assert torch.isfinite(black(x)).all()


def test_a_loaded_mlp_equals_the_stored_mlp_without_pickle(windows, tmp_path):
    model = create()
    fit(model, windows, TRAIN)
    models.save(model, tmp_path / "a")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["card.json", "weights.safetensors"]
    stored = load_file(tmp_path / "a" / "weights.safetensors")
    assert sorted(stored) == sorted(
        ["low", "span", *(f"net.{i}.{kind}" for i in (0, 2, 4, 6) for kind in ("weight", "bias"))]
    )
    back, _ = models.load(tmp_path / "a")
    x = torch.from_numpy(windows)
    with torch.inference_mode():
        assert torch.equal(back(x), model(x))
        assert torch.equal(back.target(x), model.target(x))


def test_more_windows_than_memory_holds_are_refused(windows, monkeypatch):
    monkeypatch.setattr(mlp, "physical_memory", lambda: 5 * windows.nbytes)
    fit(create(), windows, TRAIN)
    monkeypatch.setattr(mlp, "physical_memory", lambda: 5 * windows.nbytes - 1)
    with pytest.raises(UserError, match=r"resize\.height and resize\.width.*model\.name: dense") as caught:
        fit(create(), windows, TRAIN)
    assert "\n" not in str(caught.value)


def test_physical_memory_is_in_bytes():
    assert mlp.physical_memory() > 1 << 28


@pytest.mark.parametrize("n", [1, 10])
def test_too_few_windows_are_refused(windows, n):
    with pytest.raises(UserError, match=rf"at least 11 windows for training, got {n}; lower resize\.stride"):
        fit(create(), windows[:n], TRAIN)


def test_the_minimum_number_of_windows_is_accepted(windows):
    before = create().net[0].weight
    model = create()
    fit(model, windows[:11], TRAIN)
    assert not torch.equal(model.net[0].weight, before)


def test_a_loss_that_is_not_finite_is_refused(windows):
    with pytest.raises(UserError, match=r"not a finite number; lower train\.learning_rate \(now 1e\+30\)"):
        fit(create(), windows, TRAIN.model_copy(update={"learning_rate": 1e30}))


@pytest.mark.parametrize(
    ("objective", "inputs", "outputs"),
    [
        ("reconstruct", (3, 4, 5, 7), (3, 4, 5, 7)),
        ("predict", (3, 3, 5, 7), (3, 1, 5, 7)),
        ("translate", (1, 4, 5, 7), (2, 4, 5, 7)),
    ],
)
def test_dense_has_the_same_layers_and_every_objective(objective, inputs, outputs):
    window = {"frames": 4, "position": "last"}
    params = Dense.Params(window=window, objective=objective, hidden=[24, 6, 24])
    model = models.create("dense", params, (3, 4, 5, 7), ["gray", "flow_x", "flow_y"])
    kinds = [type(layer).__name__ for layer in model.net]
    assert kinds == [*(["Linear", "ReLU"] * 3), "Linear"]
    sizes = [layer.in_features for layer in model.net if isinstance(layer, torch.nn.Linear)]
    assert sizes == [np.prod(inputs), 24, 6, 24]
    x = torch.rand(2, 3, 4, 5, 7)
    assert model(x).shape == model.target(x).shape == (2, *outputs)


def test_the_inputs_of_dense_are_the_pixels_of_the_window():
    params = Dense.Params(window={"frames": 2, "position": "last"}, objective="predict", hidden=[8])
    model = models.create("dense", params, (1, 2, 3, 3), ["gray"])
    x = torch.rand(2, 1, 2, 3, 3)
    first, _, last = model.net
    by_hand = torch.relu(x[:, 0, 0].reshape(2, 9) @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), by_hand.reshape(2, 1, 1, 3, 3))
