"""Fits a model that another library trains, instead of the training loop."""

from collections.abc import Callable

import numpy as np
import torch

from vad.models import Autoencoder, to_input
from vad.training.failures import diverged
from vad.training.params import TrainParams
from vad.training.reports import Reports
from vad.windows.dataset import Windows

DIVERGED = 1e6  # a loss that no usable model has, as inputs are scaled to [0, 1]


def fit_at_once(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    reports: Reports,
    log: Callable[[str], None],
) -> dict[str, float]:
    """Fits `model` in place. The history has a validation loss for the best epoch only.

    Args:
        model: with a method `fit_at_once`.
        train: training windows.
        val: validation windows.
        params: the section `train`; parameters that the other library lacks are ignored.
        reports: writer of the training reports.
        log: writes a line of text.

    Returns:
        `epoch`, the index of the best epoch, and its `val_loss`.

    Raises:
        UserError: if the validation loss is NaN or above DIVERGED.
    """
    assert model.fit_at_once is not None
    log("another library fits it: no line appears until it has ended, and it cannot be resumed")
    train_losses, best = model.fit_at_once(train, params)
    model.eval()
    val_loss = mean_squared_error(model, val, params.batch_size)
    if not val_loss < DIVERGED:  # written so that NaN is refused as well
        raise diverged(f"validation loss is {val_loss:g}", params)
    reports.begin()
    for epoch, loss in enumerate(train_losses):
        reports.add_epoch(epoch, loss, val_loss if epoch == best else None, params.learning_rate)
        reports.add_step(epoch + 1, loss, params.learning_rate)
    reports.remove_throughput()
    return {"epoch": best, "val_loss": val_loss}


@torch.inference_mode()
def mean_squared_error(model: Autoencoder, windows: Windows, batch_size: int) -> float:
    """Mean over all windows and pixels of the squared difference between output and target.

    Args:
        model: in eval mode.
        windows: the windows of a split.
        batch_size: windows at a time.
    """
    errors = []
    for start in range(0, len(windows), batch_size):
        indices = np.arange(start, min(start + batch_size, len(windows)))
        x = to_input(windows[indices])
        errors.append((model(x) - model.target(x)).square().flatten(1).mean(1))
    return torch.cat(errors).mean().item()
