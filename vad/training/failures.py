"""Failures of training as errors that say what to change.

For some of them torch raises only RuntimeError or ValueError; their texts are matched here and nowhere else.
"""

import torch

from vad import UserError
from vad.models import Autoencoder
from vad.training.params import TrainParams

# excerpts of torch's messages
CPU_MEMORY = "allocate memory"  # RuntimeError of the CPU's allocator
BATCH_NORM = "more than 1 value per channel"  # ValueError of batch norm for a single value


def diverged(what: str, params: TrainParams) -> UserError:
    """The error for a loss that is not finite or far too high.

    Args:
        what: which loss it is and its value, such as "validation loss is nan".
        params: the section `train`.
    """
    return UserError(f"the {what}; lower train.learning_rate (now {params.learning_rate:g})")


def explained(error: Exception, model: Autoencoder, windows: int, params: TrainParams) -> UserError | None:
    """The error to raise in place of an error of torch.

    Args:
        error: the error of torch.
        model: the model that is trained.
        windows: number of training windows.
        params: the section `train`.

    Returns:
        None for an error that the user cannot fix, which should keep its traceback.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or CPU_MEMORY in str(error):
        return UserError(
            f"out of memory with train.batch_size = {params.batch_size} and {model.describe()}: lower "
            "train.batch_size (train.accumulate makes up for it), resize.height and width, or the model's "
            "channels"
        )
    if BATCH_NORM in str(error):
        return UserError(
            f"batch norm cannot normalise a batch of a single window, which {windows} windows in batches of "
            f"{params.batch_size} leave; change train.batch_size, or make resize.height and width larger"
        )
    return None
