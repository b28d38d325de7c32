"""What can go wrong in a training, as errors that say what to change.

torch raises plain RuntimeError or ValueError for some of it; their texts are matched here and nowhere else.
"""

import torch

from vad import UserError
from vad.models import Autoencoder
from vad.training.params import TrainParams

# parts of torch's messages
CPU_MEMORY = "allocate memory"  # RuntimeError of the CPU's allocator
BATCH_NORM = "more than 1 value per channel"  # ValueError of batch norm for a single value


def diverged(what: str, params: TrainParams) -> UserError:
    """The error for a loss that is not a finite number, or absurdly high.

    Args:
        what: which loss became what.
        params: of the training.
    """
    return UserError(f"the {what}; lower train.learning_rate (now {params.learning_rate:g})")


def explained(error: Exception, model: Autoencoder, windows: int, params: TrainParams) -> UserError | None:
    """The error to raise in place of torch's.

    Args:
        error: what torch raised.
        model: that is trained.
        windows: how many it is trained on.
        params: of the training.

    Returns:
        None if the user cannot mend it, so that it keeps its traceback.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or CPU_MEMORY in str(error):
        return UserError(
            f"out of memory with train.batch_size = {params.batch_size} and {model.describe()}: lower "
            "train.batch_size (train.accumulate makes up for it), resize.height and width, or the model's "
            "channels"
        )
    if BATCH_NORM in str(error):
        return UserError(
            f"batch norm has nothing to compare a window with: {windows} windows in batches of "
            f"{params.batch_size} leave a batch of a single window; change train.batch_size, or make "
            "resize.height and width larger"
        )
    return None
