"""Trainings of folds: what each learns from, the same bytes in any number of processes, and failures."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.trained import ROOT, SHAPE, SMALL, Failing, mean_error, params, ramps
from tests.windows.tensors import cut_clip, table_of, tensor_spec
from vad import UserError
from vad.models import create, load, save
from vad.models.memae import MemAE
from vad.training import callbacks, folds
from vad.training.fit import fix_seed
from vad.training.folds import Training, fold_clips, train_folds
from vad.windows.dataset import Windows

FOLDS = {"train/a": 0, "train/b": 1, "train/c": 1, "train/d": 2}
DEEP = MemAE.Params.model_validate({"window": {"frames": 1}, "channels": [4] * 4})


@pytest.fixture(scope="module")
def tensors(tmp_path_factory) -> Path:
    """Training clips of six windows, each in a light of its own; the clip `empty` has no region."""
    folder = tmp_path_factory.mktemp("footage")
    for i, name in enumerate("abcd"):
        cut_clip(folder, ramps(6, 20 + 40 * i), tensor_spec(16, 16), name)
    return cut_clip(folder, ramps(6, 9), tensor_spec(16, 16), "empty", table_of([])).parent


class Run:
    """A training of three folds in `workers` processes.

    Attributes:
        log: the lines that were logged.
        out: the folder of the models.
    """

    def __init__(self, folder: Path, tensors: Path, workers: int = 1, name: str = "conv2d", **changed):
        self.log: list[str] = []
        self.folder, self.out = folder, folder / "autoencoder"
        model = {"conv2d": SMALL, "memae": DEEP}[name]
        where = folder / "reports", folder / "throughput.csv", folder / "cache"
        training = Training(name, model, params(**changed), *where)
        parts = fold_clips(tensors, tensors, FOLDS)
        train_folds(parts, training, self.out, workers, self.log.append, lambda action: action())

    def files(self) -> Mapping[str, bytes]:
        """The results that must be equal."""
        files = [file for where in ("autoencoder", "reports") for file in (self.folder / where).rglob("*.*")]
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files}


def test_without_folds_there_is_one_with_the_validation_clips(tmp_path):
    assert fold_clips(tmp_path / "train", tmp_path / "val", {}) == {
        0: ((tmp_path / "train", None), (tmp_path / "val", None))
    }


def test_a_fold_learns_from_the_others_and_is_validated_with_its_own_clips(tensors, tmp_path):
    """The validation loss in the card is the error on the clips that were left out."""
    run = Run(tmp_path, tensors, epochs=3, learning_rate=0.001)
    assert sorted(p.name for p in run.out.iterdir()) == ["0", "1", "2"]
    for fold, left_out in {0: "a", 1: "bc", 2: "d"}.items():
        model, card = load(run.out / str(fold))
        others = [name for name in "abcd" if name not in left_out]
        assert f"fold {fold}: {model.describe()} on {6 * len(others)} windows, {6 * len(left_out)} for " in (
            " ".join(run.log)
        )
        assert mean_error(model, Windows(tensors, list(left_out))) == pytest.approx(
            card["best"]["val_loss"], rel=1e-5
        )
    history = pd.read_csv(tmp_path / "reports/history.csv")
    assert history[["fold", "epoch"]].to_numpy().tolist() == [[k, e] for k in range(3) for e in range(3)]
    assert set(pd.read_csv(tmp_path / "reports/steps.csv")["fold"]) == {0, 1, 2}
    assert set(pd.read_csv(tmp_path / "throughput.csv")["fold"]) == {0, 1, 2}
    assert sorted(p.name for p in (tmp_path / "reports").iterdir()) == ["history.csv", "steps.csv"]
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []


def test_the_number_of_processes_changes_no_byte(tensors, tmp_path):
    assert Run(tmp_path / "one", tensors, 1).files() == Run(tmp_path / "two", tensors, 2).files()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_one_fold_stops_the_training_with_a_message_that_names_it(tensors, tmp_path, workers):
    """Fold 1 learns from 12 windows, and batch norm cannot normalise the last, alone in its batch."""
    with pytest.raises(UserError, match=r"^fold 1: batch norm .* which 12 windows in batches of 11 leave"):
        Run(tmp_path, tensors, workers, "memae", batch_size=11, epochs=1)
    assert not (tmp_path / "autoencoder").exists()


def test_a_loss_that_is_not_finite_names_its_fold_and_the_others_go_on_in_the_next_run(
    tensors, tmp_path, monkeypatch
):
    monkeypatch.setattr(callbacks, "SAVE_SPACING", 0.0)
    whole = Run(tmp_path / "whole", tensors)
    made = []

    def second_fails(*args):
        made.append(create(*args))
        return Failing(lambda y: y * np.nan) if len(made) == 2 else made[-1]

    monkeypatch.setattr(folds, "create", second_fails)
    with pytest.raises(UserError, match=r"^fold 1: the training loss became nan in epoch 2"):
        Run(tmp_path, tensors)
    monkeypatch.setattr(folds, "create", create)
    again = Run(tmp_path, tensors)
    assert any(line.startswith("fold 0: goes on after epoch 2") for line in again.log)
    assert not any(line.startswith(("fold 0: epoch", "fold 1: goes on")) for line in again.log)
    assert again.files() == whole.files()


def test_a_fold_without_windows_is_refused(tensors):
    with pytest.raises(UserError, match=r"^fold 1 has no windows: no region in train/empty; .*data\.folds"):
        fold_clips(tensors, tensors, {"train/a": 0, "train/b": 0, "train/empty": 1})


def test_a_single_fold_with_clips_is_refused(tensors):
    with pytest.raises(UserError, match=r"only fold 2 has clips.* set data\.folds: 1"):
        fold_clips(tensors, tensors, {"train/a": 2, "train/b": 2})


@pytest.mark.parametrize("changed", [{"devices": 2}, {"num_nodes": 2}, {"devices": "auto"}], ids=str)
def test_folds_are_not_distributed(tensors, tmp_path, changed):
    with pytest.raises(UserError, match=r"train\.devices = .* one device each; .* data\.folds: 1"):
        Run(tmp_path, tensors, **changed)


def test_initial_weights_that_may_have_seen_all_clips_are_warned_of(tensors, tmp_path):
    fix_seed(0)
    model = create("conv2d", SMALL, SHAPE, ["gray"])
    save(model, tmp_path / "plain")
    save(model, tmp_path / "single/0")
    for fold in range(3):
        save(model, tmp_path / f"folds/{fold}")
    warned = {}
    for name in ("plain", "single", "folds"):
        run = Run(tmp_path / f"from {name}", tensors, epochs=1, init_from=str(tmp_path / name))
        warned[name] = any(line.startswith("WARNING: the weights in train.init_from") for line in run.log)
    assert warned == {"plain": True, "single": True, "folds": False}


INTERRUPTED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training import test_folds
if __name__ == "__main__":
    test_folds.Run(Path({folder!r}), Path({tensors!r}), 2, epochs=30, early_stopping=30)
"""


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_the_next_run_goes_on(tensors, tmp_path):
    """As a terminal does it: all processes get the signal."""
    script = tmp_path / "script.py"
    where = {"root": str(ROOT), "folder": str(tmp_path / "parts"), "tensors": str(tensors)}
    script.write_text(INTERRUPTED.format(**where))
    child = subprocess.Popen(
        [sys.executable, script],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        checkpoints = tmp_path / "parts/cache/checkpoints"
        deadline = time.monotonic() + 120
        while len(list(checkpoints.glob("*/state.pt"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        _, error = child.communicate(timeout=60)
    finally:
        child.kill()
    assert error.strip().endswith("KeyboardInterrupt"), error
    assert not (tmp_path / "parts/autoencoder").exists()
    resumed = Run(tmp_path / "parts", tensors, epochs=30, early_stopping=30)
    assert sum("goes on after epoch" in line for line in resumed.log) >= 2
    whole = Run(tmp_path / "whole", tensors, epochs=30, early_stopping=30)
    assert resumed.files() == whole.files()
