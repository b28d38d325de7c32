"""Training steps, schedules and precision."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.trained import SMALL, Trained, wandering_square
from tests.windows.tensors import tensor_spec
from vad.models import create
from vad.training.fit import fix_seed
from vad.training.module import Cosine
from vad.windows.spec import WindowParams


def test_the_cosine_schedule_rises_and_falls(data, tmp_path):
    Trained(data, tmp_path, epochs=4, batch_size=2, schedule="cosine", warmup_epochs=1.0)
    rates = pd.read_csv(tmp_path / "reports/steps.csv")["learning_rate"].to_numpy()
    assert rates.max() == pytest.approx(0.01)
    top = rates.argmax()
    assert 3 <= top <= 5
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] == 0  # the rate after the last step
    factors = [Cosine(4, 20)(i) for i in range(21)]
    np.testing.assert_allclose(factors[:4], [0.2, 0.4, 0.6, 0.8])
    assert factors[4] == 1
    assert factors[12] == pytest.approx(0.5)
    assert factors[20] == pytest.approx(0)


def test_accumulated_batches_are_one_large_batch(data, tmp_path):
    large = Trained(data, tmp_path / "large", batch_size=10, epochs=3)
    small = Trained(data, tmp_path / "small", batch_size=5, accumulate=2, epochs=3)
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_clipped_gradient_changes_what_is_learnt(data, tmp_path):
    free, tight = (Trained(data, tmp_path / str(c), clip_gradient=c) for c in (None, 1e-9))
    assert free.weights != tight.weights


def test_bf16_learns_the_same(data, tmp_path):
    whole = Trained(data, tmp_path / "32", epochs=6)
    half = Trained(data, tmp_path / "16", epochs=6, precision="bf16-mixed")
    assert half.weights != whole.weights
    assert half.best["val_loss"] == pytest.approx(whole.best["val_loss"], rel=0.2)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
def test_a_compiled_model_learns_the_same(data, tmp_path):
    alike = data | {"val": data["train"]}  # batches of another shape would be compiled again
    eager = Trained(alike, tmp_path / "eager", epochs=1, batch_size=10)
    compiled = Trained(alike, tmp_path / "compiled", epochs=1, batch_size=10, compile=True)
    assert compiled.best["val_loss"] == pytest.approx(eager.best["val_loss"], rel=1e-3)


def test_pseudo_anomalies_change_what_is_learnt(tmp_path):
    four_frames = SMALL.model_copy(update={"window": WindowParams(frames=4)})
    spec = tensor_spec(16, 16, frames=4)
    both = {s: wandering_square(tmp_path, s, n, spec) for s, n in (("train", 16), ("val", 12))}
    trained = {}
    for kind, goal in (("none", "restore"), ("skip_frame", "restore"), ("skip_frame", "repel")):
        fix_seed(0)
        model = create("conv2d", four_frames, both["train"].shape, ["gray"])
        pseudo = {"kind": kind, "goal": goal, "share": 0.3}
        trained[kind, goal] = Trained(both, tmp_path / f"{kind}-{goal}", model=model, pseudo=pseudo)
    assert len({training.weights for training in trained.values()}) == 3
    first = {which: training.history["train_loss"][0] for which, training in trained.items()}
    # altered windows that are repelled lower the loss; restoring them is harder than reproducing normal ones
    assert first["skip_frame", "repel"] < first["none", "restore"] < first["skip_frame", "restore"]
