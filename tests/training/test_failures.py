"""Failures of training: losses that are not finite, interrupts, too little memory, a missing GPU."""

import signal
from pathlib import Path

import pytest
import torch

from tests.training.trained import SHAPE, SMALL, Failing, Trained, wandering_square
from tests.windows.tensors import tensor_spec
from vad import UserError
from vad.models import Autoencoder, create, load
from vad.models.dense import Dense
from vad.models.memae import MemAE
from vad.training.fit import fix_seed


class Broken(Autoencoder):
    """A model whose output is NaN when its weight is negative, as it is after the first step."""

    name = "broken"

    def __init__(self, raises: type[BaseException] | None = None):
        super().__init__(SMALL, SHAPE, ["gray"])
        self.weight, self.raises = torch.nn.Parameter(torch.tensor(1e-4)), raises

    def forward(self, x):
        if self.raises:
            raise self.raises
        return x + 1 + torch.sqrt(self.weight)


def test_a_training_loss_that_is_not_finite_stops_with_the_learning_rate_in_the_message(data, tmp_path):
    with pytest.raises(UserError, match=r"epoch 1, batch 2; lower train\.learning_rate \(now 0\.01\)"):
        Trained(data, tmp_path, model=Broken())
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []


def test_a_validation_loss_that_is_not_finite_stops_training(data, tmp_path):
    """The last step makes the weights NaN; in a single step, only the validation loss shows it."""
    with pytest.raises(UserError, match=r"validation loss became nan in epoch 1; lower train\.learning_rate"):
        Trained(data, tmp_path, model=Broken(), epochs=1, batch_size=100)


def test_the_best_weights_are_stored_when_a_loss_is_not_finite(data, tmp_path):
    model = Failing(lambda y: y * float("nan"))
    message = (
        r"training loss became nan in epoch 2, batch 2; lower .+ best weights so far, of epoch 1, are in "
    )
    with pytest.raises(UserError, match=message) as caught:
        Trained(data, tmp_path, model=model, epochs=3)
    folder = Path(str(caught.value).rpartition(" are in ")[2])
    kept, card = load(folder)
    assert card["best"]["epoch"] == 0
    assert all(torch.isfinite(p).all() for p in kept.parameters())
    Trained(data, tmp_path / "again", epochs=1, learning_rate=1e-4, init_from=str(folder))


def test_other_errors_keep_their_type(data, tmp_path):
    with pytest.raises(ZeroDivisionError):
        Trained(data, tmp_path, model=Broken(ZeroDivisionError))
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []


def test_an_interrupt_raises_keyboard_interrupt(data, tmp_path):
    """In the second epoch, so that a swallowed interrupt would return the weights of the first."""

    def interrupt(y):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            Trained(data, tmp_path, model=Failing(interrupt))
        assert signal.getsignal(signal.SIGINT) == before  # the next Ctrl-C must work as well
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_names_what_to_lower(data, tmp_path, error):
    def fail(y):
        raise error

    with pytest.raises(UserError, match=r"out of memory with train\.batch_size = 4 and .+: lower"):
        Trained(data, tmp_path, model=Failing(fail))


def test_other_runtime_errors_are_not_replaced(data, tmp_path):
    def fail(y):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Trained(data, tmp_path, model=Failing(fail))


def test_a_batch_of_a_single_window_is_refused_if_the_model_has_batch_norm(tmp_path):
    spec = tensor_spec(16, 16)
    both = {s: wandering_square(tmp_path, s, 9, spec) for s in ("train", "val")}
    deep = MemAE.Params.model_validate({"window": {"frames": 1}, "channels": [4] * 4})
    model = create("memae", deep, (1, 1, 16, 16), ["gray"])
    message = r"batch of a single window, which 9 windows in batches of 4 leave; change train\.batch_size"
    with pytest.raises(UserError, match=message):
        Trained(both, tmp_path / "run", model=model, batch_size=4)


def test_a_model_too_large_for_memory_is_refused():
    huge = Dense.Params.model_validate({"window": {"frames": 1}, "hidden": [10**9]})
    with pytest.raises(UserError, match=r"model\.dense does not fit into memory"):
        create("dense", huge, (1, 1, 64, 64), ["gray"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_a_user_error(data, tmp_path):
    fix_seed(0)
    with pytest.raises(UserError, match=r"train\.accelerator = 'gpu' .+ cannot be had"):
        Trained(data, tmp_path, accelerator="gpu")
