"""Fitting: history, the best epoch, early stopping, the learning rate, seeds, and losses that explode."""

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.project import whole_frames
from vad import UserError, models
from vad.models import Autoencoder, conv2d
from vad.regions import none
from vad.resize.cut import cut
from vad.store import arrays
from vad.training import fit
from vad.training.fit import TrainParams
from vad.windows.dataset import Windows
from vad.windows.spec import WindowParams

RESIZE = WindowParams(
    channels=["picture"], height=16, width=16, window=1, step=1, position="middle", stride=1, fit="stretch"
)
CHANNELS = conv2d.Params(window=1, step=1, position="middle", objective="reconstruct", channels=[4])
ROOT = Path(__file__).resolve().parents[2]


def params(**changed: object) -> TrainParams:
    """Those of whole frames, quick, and changed; `pseudo` and `loss` take what changes in them."""
    raw = whole_frames()["train"]
    raw |= {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "lr_patience": 9, "early_stopping": 9}
    raw |= {"accelerator": "cpu"}
    for section in ("pseudo", "loss"):
        changed[section] = raw[section] | changed.get(section, {})
    return TrainParams(**raw | changed)


def tensors(folder: Path, frames: np.ndarray) -> Windows:
    """The windows of one clip, made by the stages' own functions."""
    arrays.write_array(folder / "frames/a", frames, fps=10.0)
    none.regions(folder / "regions/a", folder / "frames/a", folder, none.Params(), None, threads=1)
    (folder / "tensors").mkdir(parents=True)
    cut(folder / "tensors/a", folder / "frames/a", folder / "regions/a", folder / "flow", RESIZE, threads=1)
    return Windows(folder / "tensors")


def ramps(length: int, light: int) -> np.ndarray:
    """Slanted brightness with a little noise: easy to learn."""
    slant = np.add.outer(np.arange(16), np.arange(16)) * 2 + light
    return (slant + np.random.default_rng(0).integers(0, 9, (length, 16, 16))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Windows]:
    folder = tmp_path_factory.mktemp("data")
    return {
        "train": tensors(folder / "train", ramps(10, 20)),
        "val": tensors(folder / "val", ramps(6, 20)[::-1]),
        # what is learnt of the dark makes the bright worse, epoch after epoch
        "bright": tensors(folder / "bright", ramps(6, 190)),
    }


class Fitted:
    """A finished training."""

    def __init__(self, data, folder: Path, val="val", model: Autoencoder | None = None, **changed):
        own = params(**changed)
        fit.fix_seed(own.seed)
        self.model = model or models.create("conv2d", CHANNELS, data["train"].shape, ["gray"])
        self.log: list[str] = []
        self.best = fit.fit(
            self.model,
            data["train"],
            data[val],
            own,
            folder / "reports",
            folder / "throughput.csv",
            folder / "cache",
            self.log.append,
        )
        self.history = pd.read_csv(folder / "reports/history.csv")
        models.save(self.model, folder / "model")
        self.weights = (folder / "model/weights.safetensors").read_bytes()


def mean_error(model: Autoencoder, windows: Windows) -> float:
    """The loss anew, in float64 over all pixels at once."""
    x = torch.from_numpy(np.stack([windows[[i]][0] for i in range(len(windows))])).float() / 255
    with torch.inference_mode():
        return (model(x) - x).double().square().mean().item()


def test_history_and_log_have_a_line_per_epoch(data, tmp_path, capfd):
    fitted = Fitted(data, tmp_path, epochs=4)
    history = fitted.history
    assert list(history.columns) == ["epoch", "train_loss", "val_loss", "learning_rate"]
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert (history["learning_rate"] == 0.01).all()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    lines = [line for line in fitted.log if line.startswith("epoch")]
    for i, line in enumerate(lines):
        loss, val = history.loc[i, ["train_loss", "val_loss"]]
        assert line.startswith(f"epoch {i + 1}/4: loss {loss:.6f}, validation {val:.6f}, ")
        assert "\r" not in line
    assert len(lines) == 4
    assert capfd.readouterr() == ("", "")  # no terminal: no bar, and nothing of Lightning's own
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []
    assert not fitted.model.training


def test_the_first_loss_is_that_of_the_first_weights(data, tmp_path):
    """One batch of all windows: what is written is the error before anything was learnt."""
    fit.fix_seed(0)
    before = mean_error(models.create("conv2d", CHANNELS, data["train"].shape, ["gray"]), data["train"])
    fitted = Fitted(data, tmp_path, epochs=1, batch_size=100)
    assert fitted.history.loc[0, "train_loss"] == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize(("val", "epochs"), [("val", 3), ("bright", 3)])
def test_the_weights_are_those_of_the_best_epoch(data, tmp_path, val, epochs):
    fitted = Fitted(data, tmp_path, val, epochs=epochs, batch_size=5)  # batches of 5 and 1 in validation
    best = fitted.history.loc[fitted.history["val_loss"].idxmin()]
    assert fitted.best["epoch"] == best["epoch"] == (0 if val == "bright" else epochs - 1)
    assert fitted.best["val_loss"] == pytest.approx(best["val_loss"], rel=1e-6)
    assert mean_error(fitted.model, data[val]) == pytest.approx(best["val_loss"], rel=1e-5)


def test_training_stops_early_and_the_learning_rate_falls(data, tmp_path):
    fitted = Fitted(data, tmp_path, "bright", epochs=20, early_stopping=4, lr_patience=1, lr_factor=0.1)
    assert fitted.history["val_loss"].idxmin() == 0
    assert len(fitted.history) == 1 + 4  # the best, and as many epochs as patience
    # two epochs in a row without a fall are one more than lr_patience allows
    rates = [0.01, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(fitted.history["learning_rate"], rates)


def test_the_seed_decides_every_byte(data, tmp_path):
    one = Fitted(data, tmp_path / "one", seed=5)
    np.random.rand(3)
    torch.rand(7)
    same, other = Fitted(data, tmp_path / "same", seed=5), Fitted(data, tmp_path / "other", seed=6)
    assert one.weights == same.weights
    assert (tmp_path / "one/reports/history.csv").read_bytes() == (
        tmp_path / "same/reports/history.csv"
    ).read_bytes()
    assert one.weights != other.weights


class Watched(Windows):
    """Remembers which windows are asked for."""

    def __getitem__(self, indices):
        self.asked.append(np.asarray(indices).tolist())
        return super().__getitem__(indices)


def orders(data: dict[str, Windows], folder: Path, **changed: object) -> list[list[int]]:
    """The order of the training windows in each epoch."""
    watched = Watched(data["train"].folder)
    watched.asked = []
    Fitted(data | {"train": watched}, folder, batch_size=4, **changed)
    assert [len(batch) for batch in watched.asked[:3]] == [4, 4, 2]
    flat = [i for batch in watched.asked for i in batch]
    return [flat[i : i + len(watched)] for i in range(0, len(flat), len(watched))]


def test_windows_are_shuffled_anew_in_each_epoch_as_the_seed_says(data, tmp_path):
    one = orders(data, tmp_path / "one", epochs=3)
    assert len(one) == 3
    for order in one:  # each window once
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in one}) == 3
    assert list(range(10)) not in one
    assert orders(data, tmp_path / "same", epochs=3) == one
    assert orders(data, tmp_path / "other", epochs=3, seed=1)[0] != one[0]


class Broken(Autoencoder):
    """Its output is no number once its weight is below zero, which the first step makes it."""

    name = "broken"

    def __init__(self, raises: type[BaseException] | None = None):
        super().__init__(CHANNELS, (1, 1, 16, 16), ["gray"])
        self.weight, self.raises = torch.nn.Parameter(torch.tensor(1e-4)), raises

    def forward(self, x):
        if self.raises:
            raise self.raises
        return x + 1 + torch.sqrt(self.weight)


def test_a_loss_that_is_no_number_stops_and_names_the_learning_rate(data, tmp_path):
    with pytest.raises(UserError, match=r"epoch 1, batch 2; lower train\.learning_rate \(now 0\.01\)"):
        Fitted(data, tmp_path, model=Broken())
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []


def test_a_validation_loss_that_is_no_number_stops_too(data, tmp_path):
    """The last step broke the weights: one batch, one epoch, so no later training loss tells."""
    with pytest.raises(UserError, match=r"train\.learning_rate"):
        Fitted(data, tmp_path, model=Broken(), epochs=1, batch_size=100)


def test_other_errors_keep_their_kind(data, tmp_path):
    with pytest.raises(ZeroDivisionError):
        Fitted(data, tmp_path, model=Broken(ZeroDivisionError))
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []


def test_an_interrupt_stays_one(data, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    try:
        Fitted(data, tmp_path, model=Broken(KeyboardInterrupt))
    except KeyboardInterrupt:
        pass
    except SystemExit as e:
        pytest.fail(f"became SystemExit({e.code})")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_a_user_error(data, tmp_path):
    with pytest.raises(UserError, match=r"train\.accelerator"):
        Fitted(data, tmp_path, accelerator="gpu")
