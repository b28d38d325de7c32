"""steps.csv and throughput.csv: written while the training runs, with the losses of their windows."""

import numpy as np
import pandas as pd
import pytest

from tests.training.trained import Trained
from vad.training import progress
from vad.windows.dataset import Windows


def test_steps_and_throughput_are_written_during_training(data, tmp_path):
    lengths = []

    class Watching(Windows):
        def __getitem__(self, indices):
            steps, speed = tmp_path / "reports/steps.csv", tmp_path / "throughput.csv"
            if steps.exists():
                lengths.append((len(pd.read_csv(steps)), len(pd.read_csv(speed))))
            return super().__getitem__(indices)

    Trained(data | {"train": Watching(data["train"].folder)}, tmp_path, epochs=2, batch_size=2)
    steps, speed = pd.read_csv(tmp_path / "reports/steps.csv"), pd.read_csv(tmp_path / "throughput.csv")
    np.testing.assert_allclose(steps["epoch"], np.arange(1, 11) / 5, rtol=1e-5)  # 10 windows, 5 batches
    np.testing.assert_allclose(speed["epoch"], steps["epoch"])
    assert (speed["samples_per_second"] > 0).all()
    assert len({n for n, _ in lengths}) > 5  # written during training, not at the end
    history = pd.read_csv(tmp_path / "reports/history.csv")
    means = steps["loss"].to_numpy().reshape(2, 5).mean(1)
    np.testing.assert_allclose(means, history["train_loss"], rtol=1e-4)


def test_steps_have_the_loss_of_their_windows_whatever_is_accumulated(data, tmp_path):
    for n in (1, 3):
        Trained(data, tmp_path / str(n), epochs=1, batch_size=4, accumulate=n, learning_rate=1e-9)
    single, triple = (pd.read_csv(tmp_path / f"{n}/reports/steps.csv") for n in (1, 3))
    np.testing.assert_allclose(single["loss"], triple["loss"], rtol=1e-5)
    assert len(single) == 3  # batches of 4, 4 and 2
    history = pd.read_csv(tmp_path / "1/reports/history.csv")
    mean = np.average(single["loss"], weights=[4, 4, 2])
    assert mean == pytest.approx(history["train_loss"][0], rel=1e-5)


def test_a_long_epoch_logs_intermediate_lines(data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    trained = Trained(data, tmp_path, epochs=1, batch_size=2)
    shares = [line.split()[2] for line in trained.log if line.startswith("epoch 1/1, ")]
    assert shares == ["20%:", "40%:", "60%:", "80%:"]
