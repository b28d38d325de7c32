"""Fully connected autoencoder, fitted by scikit-learn: the baseline."""

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

COPIES = 5  # of all windows, in memory at once: inputs, scaled, split as input and as target; and rests
FEWEST = 11  # windows of which a tenth, rounded up, is 2: as many as scikit-learn judges a fit by


@MODELS.register
class Mlp(Autoencoder):
    """scikit-learn's MLPRegressor as autoencoder (Pedregosa et al., JMLR 2011).

    Windows are flattened, and every pixel is scaled to [0, 1] by its least and greatest value in the
    training windows (MinMaxScaler). Per entry of `hidden` a linear layer and ReLU, then a linear layer
    back to the pixels. scikit-learn fits it, with Adam, a squared error, a little L2, and early stopping
    on a tenth of the windows; the weights are then copied to run in torch.

    Windows (C, T, h, w) of any size -> the same shape. Output and target are scaled values, so errors are
    too. 8,952,384 parameters at hidden 1024, 256, 64, 256, 1024 and windows of 1x1x64x64.
    """

    class Params(AutoencoderParams):
        """`model.mlp`"""

        hidden: list[Annotated[int, Field(ge=1)]] = Field(
            [1024, 256, 64, 256, 1024],
            min_length=1,
            max_length=16,
            description="units of its hidden layers",
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
            for each epoch the mean squared error of scaled pixels plus scikit-learn's L2 term, twice its
            `loss_curve_`, which has half the squared error; and the number of the epoch that was best in
            scikit-learn's validation, whose weights these are.

        Raises:
            UserError: for too few windows, for more than memory holds, or if the loss is not a finite number.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor
        from sklearn.preprocessing import MinMaxScaler

        n = len(windows)
        if n < FEWEST:
            raise UserError(
                f"model mlp needs at least {FEWEST} windows for training, got {n}; lower "
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
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # what overflows is refused below
            warnings.simplefilter("ignore", ConvergenceWarning)  # to reach train.epochs is no fault
            warnings.filterwarnings("ignore", "Got `batch_size`")  # a batch may be all windows
            network.fit(scaled, scaled)
        # scikit-learn returns to the best epoch, even if there is none: then the weights are still random
        if not np.isfinite(network.loss_curve_).all():
            raise UserError(
                f"the training loss was not a finite number; lower train.learning_rate "
                f"(now {train.learning_rate:g})"
            )
        self._copy_from(scaler, network)
        return [2 * float(loss) for loss in network.loss_curve_], int(np.argmax(network.validation_scores_))

    @torch.no_grad()
    def _copy_from(self, scaler: "MinMaxScaler", network: "MLPRegressor") -> None:
        """Takes over what scikit-learn fitted."""
        self.low.copy_(torch.from_numpy(scaler.data_min_).view(self.low.shape))
        # not data_range_: that is 0, where `scale_` is 1, for pixels that never change
        self.span.copy_(torch.from_numpy(1 / scaler.scale_).view(self.span.shape))
        linear = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        for layer, weight, bias in zip(linear, network.coefs_, network.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(weight).T)
            layer.bias.copy_(torch.from_numpy(bias))


def refuse_too_large(size: int) -> None:
    """Refuses more windows than scikit-learn has memory for.

    Args:
        size: of all windows as float32, in bytes.

    Raises:
        UserError: if `COPIES` times as much is more than there is.
    """
    need, have = COPIES * size, physical_memory()
    if need > have:
        raise UserError(
            f"model mlp holds all windows in memory, {COPIES} times over: {need / 1e9:.1f} GB, of "
            f"{have / 1e9:.1f} GB; lower resize.height and resize.width, raise resize.stride, or set "
            "model.name: dense, the same network trained batch by batch"
        )


def physical_memory() -> int:
    """Memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
