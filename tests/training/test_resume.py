"""Interrupted trainings: they resume after the last finished epoch and end with the same result."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from tests.training.trained import ROOT, Trained, model, params
from vad import UserError
from vad.training import callbacks
from vad.training.checkpoints import KEPT_DAYS, Checkpoints
from vad.training.fit import fit


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """Saves the state after every epoch, however short."""
    monkeypatch.setattr(callbacks, "SAVE_SPACING", 0.0)


HARD = {"epochs": 6, "lr_patience": 0, "early_stopping": 4}  # the schedule and the patience have a state too


class Interrupted(Exception):
    """Raised by a log in the middle of a training, in place of Ctrl-C."""


def stop_after(epoch: int):
    """A log that interrupts at the end of an epoch, counted from 1."""

    def log(line: str) -> None:
        if line.startswith(f"epoch {epoch}/"):
            raise Interrupted

    return log


def interrupted(data, folder: Path, after: int, **changed: object) -> None:
    settings = params(**changed)
    where = folder / "reports", folder / "throughput.csv", folder / "cache"
    with pytest.raises(Interrupted):
        fit(model(settings.seed), data["train"], data["bright"], settings, *where, stop_after(after))


def files(folder: Path) -> dict[str, bytes]:
    """The results of a training that must be equal."""
    names = ["reports/history.csv", "reports/steps.csv", "model/weights.safetensors", "model/card.json"]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "constant"])
def test_a_resumed_training_equals_an_uninterrupted_training(data, tmp_path, schedule):
    settings = HARD | {"schedule": schedule, "accumulate": 2, "clip_gradient": 0.5, "weight_decay": 0.01}
    whole = Trained(data, tmp_path / "whole", "bright", **settings)
    for after in (2, 4):  # twice on the way
        interrupted(data, tmp_path / "parts", after, **settings)
        (state,) = (tmp_path / "parts/cache/checkpoints").glob("*/state.pt")
        assert torch.load(state, weights_only=True)["epochs"] == after - 1  # the last whole epoch
    (tmp_path / "parts/reports/history.csv").unlink()  # DVC removes outputs before a stage
    (tmp_path / "parts/reports/steps.csv").unlink()
    resumed = Trained(data, tmp_path / "parts", "bright", **settings)
    assert any(line.startswith("goes on after epoch 3, from") for line in resumed.log)
    assert next(line for line in resumed.log if line.startswith("epoch ")).startswith("epoch 4/")
    assert resumed.best == whole.best
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert list((tmp_path / "parts/cache/checkpoints").iterdir()) == []  # nothing is left behind


def test_a_resumed_training_uses_the_saved_weights(data, tmp_path):
    """The saved weights are altered: the test above would also pass if training always started again."""
    interrupted(data, tmp_path, 4, **HARD)
    (state,) = (tmp_path / "cache/checkpoints").glob("*/state.pt")
    broken = torch.load(state, weights_only=True)
    for value in broken["model"].values():
        value.add_(0.5)
    torch.save(broken, state)
    resumed = Trained(data, tmp_path, "bright", **HARD)
    other = Trained(data, tmp_path / "other", "bright", **HARD)
    assert resumed.history["train_loss"][:3].tolist() == other.history["train_loss"][:3].tolist()
    assert resumed.history["train_loss"][3] != other.history["train_loss"][3]


@pytest.mark.parametrize("early_stopping", [20, 2])
def test_a_finished_training_waits_until_its_weights_are_stored(data, tmp_path, early_stopping):
    """Storing the weights may fail, for example on a full disk or after a parameter was changed."""
    settings = params(epochs=5, early_stopping=early_stopping)
    results = []
    for log in ([], []):
        trained = model(settings.seed)
        where = tmp_path / "reports", tmp_path / "throughput.csv", tmp_path / "cache"
        later = []
        best = fit(trained, data["train"], data["bright"], settings, *where, log.append, later.append)
        history = (tmp_path / "reports/history.csv").read_bytes()
        results.append((best, history, [p.clone() for p in trained.parameters()]))
        (tmp_path / "reports/history.csv").unlink()
    assert results[0][:2] == results[1][:2]
    assert all(torch.equal(a, b) for a, b in zip(results[0][2], results[1][2], strict=True))
    assert not any(line.startswith("epoch") for line in log)  # the second time there was nothing left to do
    later[0]()
    assert not [p for p in (tmp_path / "cache/checkpoints").iterdir() if p.is_dir()]


def test_early_stopping_counts_over_the_interruption(data, tmp_path):
    settings = {"epochs": 20, "early_stopping": 3}
    interrupted(data, tmp_path, 3, **settings)
    assert len(Trained(data, tmp_path, "bright", **settings).history) == 1 + 3


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"learning_rate": 0.02}, "train.learning_rate"),
        ({"seed": 3}, "train.seed, weights at the start"),
        ({"batch_size": 5, "clip_gradient": 1.0}, "train.batch_size, train.clip_gradient"),
    ],
)
def test_a_changed_parameter_starts_a_new_training_and_is_logged(data, tmp_path, changed, named):
    interrupted(data, tmp_path, 3, **HARD)
    (folder,) = (p for p in (tmp_path / "cache/checkpoints").iterdir() if p.is_dir())
    fitted = Trained(data, tmp_path, "bright", **HARD | changed)
    assert f"starts afresh: the interrupted training in {folder} differs in {named}" in fitted.log
    assert fitted.weights == Trained(data, tmp_path / "new", "bright", **HARD | changed).weights
    assert folder.is_dir()  # the parameter may be set back


def test_changed_data_start_a_new_training_and_are_logged(data, tmp_path):
    interrupted(data, tmp_path, 3, **HARD)
    fitted = Trained(data, tmp_path, "val", **HARD)
    assert any(line.endswith("differs in validation data") for line in fitted.log)


@pytest.mark.parametrize("wrong", [{}, [1], {"epochs": 1}], ids=str)
def test_an_unreadable_checkpoint_raises_no_error(data, tmp_path, wrong):
    with Checkpoints(tmp_path, {"a": 1}, print) as kept:
        kept.save({"epochs": 1})
        torch.save(wrong, kept.state_file)
        lines = []
        kept.log = lines.append
        assert (kept.load() is None) == (wrong != {"epochs": 1})
        assert len(lines) == 1
        kept.state_file.unlink()
        (kept.folder / "identity.json").write_text("[]")
        assert kept.load() is None
        assert len(lines) == 1  # nothing is left to compare with


@pytest.mark.parametrize("left", [0, 1, 100, -1], ids=str)
def test_a_truncated_checkpoint_starts_a_new_training_and_is_logged(data, tmp_path, left):
    interrupted(data, tmp_path, 3, **HARD)
    (state,) = (tmp_path / "cache/checkpoints").glob("*/state.pt")
    state.write_bytes(state.read_bytes()[:left])
    fitted = Trained(data, tmp_path, "bright", **HARD)
    assert any(f"the checkpoint {state} cannot be read" in line for line in fitted.log)
    assert fitted.weights == Trained(data, tmp_path / "new", "bright", **HARD).weights


def test_a_power_cut_while_saving_leaves_the_previous_state(tmp_path):
    """A new state is written beside the old state, which is used until the new state is complete."""
    with Checkpoints(tmp_path, {"a": 1}, print) as kept:
        kept.save({"epochs": 1})

        class Cut:
            def __reduce__(self):
                raise OSError("no power")

        with pytest.raises(OSError, match="no power"):
            kept.save({"epochs": 2, "weights": torch.zeros(10**5), "cut": Cut()})
        assert kept.load() == {"epochs": 1}
        (kept.folder / "state.part").write_bytes(b"half")
        assert kept.load() == {"epochs": 1}


def test_no_pickle_is_executed(tmp_path):
    lines = []
    with Checkpoints(tmp_path, {}, lines.append) as kept:
        kept.save({"epochs": 1, "more": subprocess.Popen})
        assert kept.load() is None
    assert "cannot be read" in lines[0]


def test_two_processes_cannot_run_the_same_training(tmp_path):
    with Checkpoints(tmp_path, {"a": 1}, print):
        second = Checkpoints(tmp_path, {"a": 1}, print)
        with pytest.raises(UserError, match="very same"):
            second.__enter__()
    with Checkpoints(tmp_path, {"a": 1}, print), Checkpoints(tmp_path, {"a": 2}, print):
        pass
    assert list(tmp_path.iterdir()) == []


def test_old_checkpoints_are_removed(tmp_path):
    with Checkpoints(tmp_path, {"a": 1}, print) as kept:
        kept.save({"epochs": 1})
    (tmp_path / "tmpabc").mkdir()
    with Checkpoints(tmp_path, {"a": 2}, print):
        assert kept.state_file.exists()
        assert not (tmp_path / "tmpabc").exists()
    long_ago = time.time() - (KEPT_DAYS + 1) * 86400
    os.utime(kept.folder, (long_ago, long_ago))
    with Checkpoints(tmp_path, {"a": 2}, print):
        assert not kept.folder.exists()


def test_a_killed_training_is_resumed(data, tmp_path):
    """kill -9 of another process, in the middle of an epoch."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        import tests.training.trained as t
        from vad.windows.dataset import Windows
        folder = Path({str(tmp_path)!r})
        data = {{"train": Windows(Path({str(data["train"].folder)!r})),
                 "bright": Windows(Path({str(data["bright"].folder)!r}))}}
        original = t.fit
        t.fit = lambda *args: original(*args[:-1], lambda line: print(line, flush=True))
        t.Trained(data, folder / "parts", "bright", epochs=1500, early_stopping=1500)
        """)
    )
    child = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT)
    for line in child.stdout:
        if line.startswith("epoch 5/"):
            child.send_signal(signal.SIGKILL)
            break
    child.wait()
    assert child.returncode == -signal.SIGKILL
    (state,) = (tmp_path / "parts/cache/checkpoints").glob("*/state.pt")
    epochs = torch.load(state, weights_only=True)["epochs"]
    assert 1 <= epochs < 1499
    # to save time, only the stored state is compared with an uninterrupted training after as many epochs
    interrupted(data, tmp_path / "whole", epochs + 1, epochs=1500, early_stopping=1500)
    (whole,) = (tmp_path / "whole/cache/checkpoints").glob("*/state.pt")
    parts, complete = (torch.load(f, weights_only=True) for f in (state, whole))
    assert len(parts["rows"]["history"]) == epochs
    assert parts["rows"] == complete["rows"]
    for name in ("model", "optimizer"):
        torch.testing.assert_close(parts[name], complete[name], rtol=0, atol=0)
