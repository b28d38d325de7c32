"""Fitting: history, the best epoch, early stopping, seeds, every model, memory."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.trained import ROOT, Trained, mean_error, model, wandering_square
from tests.windows.tensors import tensor_spec
from vad.models import MODELS, create, load
from vad.pipeline import params as params_file
from vad.store.arrays import ArrayWriter
from vad.store.tables import write_table
from vad.training.fit import fix_seed
from vad.windows.dataset import Windows

RAW = params_file.read(ROOT / "params.yaml")


def test_history_and_log_have_a_line_per_epoch(data, tmp_path, capfd):
    trained = Trained(data, tmp_path, epochs=4)
    history = trained.history
    assert list(history.columns) == ["fold", "epoch", "train_loss", "val_loss", "learning_rate"]
    assert (history["fold"] == 0).all()
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert (history["learning_rate"] == 0.01).all()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    lines = [line for line in trained.log if line.startswith("epoch")]
    for i, line in enumerate(lines):
        loss, val = history.loc[i, ["train_loss", "val_loss"]]
        assert line.startswith(f"epoch {i + 1}/4: loss {loss:.6f}, validation {val:.6f}, ")
        assert "\r" not in line
    assert len(lines) == 4
    assert capfd.readouterr() == ("", "")  # no terminal: no bar, and nothing of Lightning's
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []
    assert not trained.model.training


@pytest.mark.parametrize("long", [0.0, 60.0])
def test_a_hint_about_speed_comes_after_a_long_training_alone(data, tmp_path, monkeypatch, long):
    monkeypatch.setattr("vad.training.fit.LONG", long)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *args, **kwargs: (
            "flags\t\t: fpu avx512_bf16\n" if path == Path("/proc/cpuinfo") else read(path, *args, **kwargs)
        ),
    )
    lines = [line for line in Trained(data, tmp_path, epochs=1).log if "bf16" in line]
    assert len(lines) == (long == 0.0)


def test_the_first_loss_is_that_of_the_first_weights(data, tmp_path):
    """With a single batch of all windows, the training loss is that of the initial weights."""
    before = mean_error(model(), data["train"])
    trained = Trained(data, tmp_path, epochs=1, batch_size=100)
    assert trained.history.loc[0, "train_loss"] == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize(("val", "epochs"), [("val", 3), ("bright", 3)])
def test_the_weights_are_those_of_the_best_epoch(data, tmp_path, val, epochs):
    trained = Trained(data, tmp_path, val, epochs=epochs, batch_size=5)  # batches of 5 and 1 in validation
    best = trained.history.loc[trained.history["val_loss"].idxmin()]
    assert trained.best["epoch"] == best["epoch"] == (0 if val == "bright" else epochs - 1)
    assert trained.best["val_loss"] == pytest.approx(best["val_loss"], rel=1e-6)
    assert mean_error(trained.model, data[val]) == pytest.approx(best["val_loss"], rel=1e-5)


def test_training_stops_early_and_the_learning_rate_falls(data, tmp_path):
    trained = Trained(data, tmp_path, "bright", epochs=20, early_stopping=4, lr_patience=1, lr_factor=0.1)
    assert trained.history["val_loss"].idxmin() == 0
    assert len(trained.history) == 1 + 4  # the best, and as many epochs as patience
    # two epochs in a row without a fall exceed an lr_patience of 1
    rates = [0.01, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(trained.history["learning_rate"], rates)


def test_the_seed_decides_every_byte(data, tmp_path):
    first = Trained(data, tmp_path / "first", seed=5)
    np.random.rand(3)
    torch.rand(7)
    same, other = Trained(data, tmp_path / "same", seed=5), Trained(data, tmp_path / "other", seed=6)
    assert first.weights == same.weights
    histories = [(tmp_path / name / "reports/history.csv").read_bytes() for name in ("first", "same")]
    assert histories[0] == histories[1]
    assert first.weights != other.weights


class Recorded(Windows):
    """Remembers which windows were read, batch by batch."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.batches: list[list[int]] = []

    def __getitem__(self, indices):
        self.batches.append(np.asarray(indices).tolist())
        return super().__getitem__(indices)


def orders(data: dict[str, Windows], folder: Path, **changed: object) -> list[list[int]]:
    """The order of the training windows in each epoch."""
    recorded = Recorded(data["train"].folder)
    Trained(data | {"train": recorded}, folder, batch_size=4, **changed)
    assert [len(batch) for batch in recorded.batches[:3]] == [4, 4, 2]
    flat = [i for batch in recorded.batches for i in batch]
    return [flat[i : i + len(recorded)] for i in range(0, len(flat), len(recorded))]


def test_each_epoch_shuffles_the_windows_by_the_seed(data, tmp_path):
    first = orders(data, tmp_path / "first", epochs=3)
    assert len(first) == 3
    for order in first:  # each window once
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in first}) == 3
    assert list(range(10)) not in first
    assert orders(data, tmp_path / "same", epochs=3) == first
    assert orders(data, tmp_path / "other", epochs=3, seed=1)[0] != first[0]


@pytest.mark.parametrize("name", MODELS.names())
def test_every_model_is_trained_and_stored_with_the_parameters_of_params_yaml(name, tmp_path):
    model_params = params_file.load(f"model.{name}", MODELS.get(name).Params, RAW)
    spec = tensor_spec(32, 32, **model_params.window.at(12.5).model_dump())
    both = {
        split: wandering_square(tmp_path, split, length, spec)
        for split, length in (("train", 20), ("val", 16))
    }
    fix_seed(0)
    model = create(name, model_params, both["train"].shape, both["train"].channels)
    trained = Trained(both, tmp_path / "run", model=model, epochs=2, learning_rate=1e-3)
    assert trained.history["train_loss"].iloc[-1] < trained.history["train_loss"].iloc[0]
    assert np.isfinite(trained.history["val_loss"].iloc[-1])
    assert trained.best["val_loss"] == pytest.approx(trained.history["val_loss"].min(), rel=1e-6)
    stored, card = load(tmp_path / "run/model")
    assert (card["name"], card["channels"]) == (name, ["gray"])
    x = torch.from_numpy(both["val"][[3, 5]]).float() / 255
    with torch.inference_mode():
        assert torch.equal(stored(x), model(x))
    assert (tmp_path / "run/reports/steps.csv").is_file()


MEASURE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training.trained import Trained
from vad.models import create
from vad.models.dense import Dense
from vad.windows.dataset import Windows

peak = 0

class Measured(Windows):
    def __getitem__(self, indices):
        global peak
        status = Path("/proc/self/status").read_text()
        peak = max(peak, int(status.partition("RssAnon:")[2].split()[0]))
        return super().__getitem__(indices)

folder = Path({folder!r})
split = Measured(folder / "tensors", {names!r})
small = Dense.Params.model_validate({{"window": {{"frames": 1}}, "hidden": [4]}})
Trained({{"train": split, "val": Measured(folder / "tensors", {names!r}[:1])}}, folder / "run{n}",
        model=create("dense", small, split.shape, ["gray"]), epochs=10 // {n}, batch_size=32)
print(peak, len(split))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_data(tmp_path):
    """With 41 MB of windows instead of 4, anonymous memory grows by far less, after as many steps.

    What is left is the allocator's, which differs by 10 MB from run to run.
    """
    (tmp_path / "tensors").mkdir()
    for k in range(10):
        write_noise(tmp_path / f"tensors/{k}", 250)
    peaks = {}
    for n in (1, 10):
        names = [str(k) for k in range(n)]
        script = textwrap.dedent(MEASURE).format(root=str(ROOT), folder=str(tmp_path), names=names, n=n)
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[n], count = map(int, done.stdout.split())
        assert count == 250 * n
    assert (peaks[10] - peaks[1]) / 1024 < 20, peaks


def write_noise(stem: Path, n: int, side: int = 128) -> None:
    """Tensors of a clip of n frames, all alike."""
    card = {"frames": n, "windows": n, "stride": 1, "fit": "stretch", "channels": ["gray"]}
    card |= {"window": 1, "step": 1, "position": "middle", "frame": [side, side]}
    noise = np.random.default_rng(n).integers(0, 256, (1, side, side), np.uint8)
    with ArrayWriter(stem, (1, side, side), np.uint8, **card) as writer:
        for _ in range(n):
            writer.append(noise)
    numbers = np.arange(n, dtype=np.int32)
    table = pd.DataFrame({"frame": numbers, "region": numbers, "track": 0, "plane_0": numbers})
    write_table(stem, table)
