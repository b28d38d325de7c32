"""Fully connected autoencoder, fitted by scikit-learn: a baseline."""

import os
import warnings
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from vad import UserError
from vad.models.base import (
    MODELS,
    Autoencoder,
    AutoencoderParams,
    Shape,
    TrainingSettings,
    WindowArray,
)
from vad.models.layers import fully_connected
from vad.pipeline.params import Field
from vad.windows.planes import WHITE

if TYPE_CHECKING:  # scikit-learn takes a second to import, so only `fit_at_once` does
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import MinMaxScaler

COPIES = 5  # of all windows in memory at once: pixels, scaled pixels, the two of a split, and small parts
MIN_WINDOWS = 11  # a tenth, rounded up, is then 2: scikit-learn's R² of a single window is undefined


@MODELS.register
class Mlp(Autoencoder):
    """scikit-learn's MLPRegressor as autoencoder (Pedregosa et al., JMLR 2011).

    Windows are flattened, and every pixel is scaled to [0, 1] by its least and greatest value in the
    training windows (MinMaxScaler). Per entry of `hidden` a linear layer and ReLU, then a linear layer
    back to the pixels. scikit-learn fits it with Adam, the squared error, a small L2 penalty, and early
    stopping on a tenth of the windows; the weights are then copied to run in torch.

    Windows (C, T, h, w) of any size -> the same shape. Output, target and errors are in scaled units.
    8,952,384 parameters at hidden 1024, 256, 64, 256, 1024 and windows of 1x1x64x64.
    """

    class Params(AutoencoderParams):
        """`model.mlp`"""

        hidden: list[Annotated[int, Field(ge=1)]] = Field(
            [1024, 256, 64, 256, 1024],
            min_length=1,
            max_length=16,
            description="units of the hidden layers",
        )

    params: Params
    low: Tensor
    span: Tensor

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        self.net = fully_connected(self.input_shape, params.hidden, self.output_shape)
        self.register_buffer("low", torch.zeros(self.input_shape))
        self.register_buffer("span", torch.ones(self.input_shape))

    def inputs(self, x: Tensor) -> Tensor:
        """The scaled windows."""
        return (super().inputs(x) - self.low) / self.span

    def target(self, x: Tensor) -> Tensor:
        """The scaled windows."""
        return self.inputs(x)

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(self.inputs(x).flatten(1))  # (B, C * T * h * w)
        return y.unflatten(1, self.output_shape)

    def fit_at_once(self, windows: WindowArray, train: TrainingSettings) -> tuple[list[float], int]:
        """Fits scaling and weights to all windows.

        Args:
            windows: all training windows.
            train: the section `train`.

        Returns:
            The loss of each epoch: mean squared error of scaled pixels plus scikit-learn's L2 term. And the
            index of the epoch that was best in scikit-learn's validation, whose weights the model gets.

        Raises:
            UserError: if there are too few windows or more than fit into memory, or if a loss is not a finite
                number.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor
        from sklearn.preprocessing import MinMaxScaler

        n = len(windows)
        if n < MIN_WINDOWS:
            raise UserError(
                f"model mlp needs at least {MIN_WINDOWS} windows for training, got {n}; lower "
                "resize.stride, add footage, or set model.name: dense"
            )
        refuse_too_large(4 * n * prod(self.input_shape))
        x = windows[np.arange(n)].reshape(n, -1).astype(np.float32) / WHITE  # (N, C * T * h * w)
        scaler = MinMaxScaler()
        scaled = scaler.fit_transform(x)
        network = MLPRegressor(
            hidden_layer_sizes=self.params.hidden,
            activation="relu",
            solver="adam",
            max_iter=train.epochs,
            batch_size=train.batch_size,
            learning_rate_init=train.learning_rate,
            early_stopping=True,
            validation_fraction=0.1,
            n_iter_no_change=train.early_stopping,
            random_state=train.seed,
        )
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # overflows are refused below
            warnings.simplefilter("ignore", ConvergenceWarning)  # training may use all of train.epochs
            warnings.filterwarnings("ignore", "Got `batch_size`")  # a batch may hold all windows
            network.fit(scaled, scaled)
        # must be checked here: without a finite epoch, scikit-learn keeps its random initial weights
        if not np.isfinite(network.loss_curve_).all():
            raise UserError(
                f"the training loss was not a finite number; lower train.learning_rate "
                f"(now {train.learning_rate:g})"
            )
        self._copy_from(scaler, network)
        # twice, since scikit-learn halves the squared error
        return [2 * float(loss) for loss in network.loss_curve_], int(np.argmax(network.validation_scores_))

    @torch.no_grad()
    def _copy_from(self, scaler: "MinMaxScaler", network: "MLPRegressor") -> None:
        """Copies scaling and weights that scikit-learn fitted."""
        self.low.copy_(torch.from_numpy(scaler.data_min_).view(self.low.shape))
        # for pixels that never change, data_range_ is 0, but scale_ is 1
        self.span.copy_(torch.from_numpy(1 / scaler.scale_).view(self.span.shape))
        linear = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        for layer, weight, bias in zip(linear, network.coefs_, network.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(weight).T)
            layer.bias.copy_(torch.from_numpy(bias))


def refuse_too_large(size: int) -> None:
    """Refuses more windows than fit into memory while scikit-learn fits to them.

    Args:
        size: bytes of all windows as float32.

    Raises:
        UserError: if `COPIES` copies of them exceed the memory of this machine.
    """
    need, have = COPIES * size, physical_memory()
    if need > have:
        raise UserError(
            f"model mlp holds {COPIES} copies of all windows in memory, {need / 1e9:.1f} GB, but this "
            f"machine has {have / 1e9:.1f} GB; lower resize.height and resize.width, raise resize.stride, or "
            "set model.name: dense, the same network trained batch by batch"
        )


def physical_memory() -> int:
    """Memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
