"""Fully connected autoencoder, fitted by scikit-learn: the baseline."""

import os
import warnings
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from vad import UserError
from vad.models import Autoencoder, ModelParams, Shape, register
from vad.pipeline.params import Field, Section

# scikit-learn takes a second to import, so only those who fit do (inside `fit_at_once`)

COPIES = 5  # of all windows, in memory at once: given, scaled, split as input and as target; and rests
FEWEST = 11  # windows of which a tenth, rounded up, is 2: as many as scikit-learn judges a fit by


class Params(ModelParams):
    """`model.mlp`"""

    hidden: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=16)


@register("mlp")
class Mlp(Autoencoder):
    """scikit-learn's MLPRegressor as autoencoder (Pedregosa et al., JMLR 2011).

    Windows are flattened, and every pixel is scaled to [0, 1] by its least and greatest value in the
    training windows (MinMaxScaler). Per entry of `hidden` a linear layer and ReLU, then a linear layer
    back to the pixels. scikit-learn fits it, with Adam, a squared error, a little L2, and early stopping
    on a tenth of the windows; the weights are then copied to run in torch.

    Windows (C, T, h, w) of any size -> the same shape. Output and target are scaled values, so errors are
    too. 8,952,384 parameters at hidden 1024, 256, 64, 256, 1024 and windows of 1x1x64x64.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        layers: list[nn.Module] = []
        for a, b in pairwise([prod(self.given_shape), *params.hidden]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(params.hidden[-1], prod(self.made_shape)))
        self.register_buffer("low", torch.zeros(self.given_shape))
        self.register_buffer("span", torch.ones(self.given_shape))

    def given(self, x: Tensor) -> Tensor:
        """The scaled windows."""
        return (super().given(x) - self.low) / self.span

    def target(self, x: Tensor) -> Tensor:
        """The scaled windows."""
        return self.given(x)

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(self.given(x).flatten(1))  # (B, C * T * h * w)
        return y.unflatten(1, self.made_shape)

    def fit_at_once(self, windows: Any, train: Section) -> tuple[list[float], int]:
        """Fits scaling and weights to all windows; `windows[indices]` are uint8 (B, C, T, h, w).

        Of the section `train` it takes epochs, batch_size, learning_rate, early_stopping and seed.
        Returns for each epoch the mean squared error of scaled pixels plus scikit-learn's L2 term, twice
        its `loss_curve_`, which has half the squared error; and the epoch that its own validation found
        best, whose weights these are. Raises UserError for too few windows, for
        more than memory holds, or if the loss is not a finite number.
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
        refuse_too_large(4 * n * prod(self.given_shape))
        x = windows[np.arange(n)].reshape(n, -1).astype(np.float32) / 255  # (N, C * T * h * w)
        scaler = MinMaxScaler()
        scaled = scaler.fit_transform(x)
        fitted = MLPRegressor(
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
            fitted.fit(scaled, scaled)
        # scikit-learn returns to the best epoch, even if that is none: then the weights are still random
        if not np.isfinite(fitted.loss_curve_).all():
            raise UserError(
                f"the training loss was not a finite number; lower train.learning_rate "
                f"(now {train.learning_rate:g})"
            )
        self._take(scaler, fitted)
        return [2 * float(loss) for loss in fitted.loss_curve_], int(np.argmax(fitted.validation_scores_))

    @torch.no_grad()
    def _take(self, scaler, fitted) -> None:
        """Copies scikit-learn's MinMaxScaler and MLPRegressor."""
        self.low.copy_(torch.from_numpy(scaler.data_min_).view(self.low.shape))
        # not data_range_: that is 0, where `scale_` is 1, for pixels that never change
        self.span.copy_(torch.from_numpy(1 / scaler.scale_).view(self.span.shape))
        linear = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        for layer, weight, bias in zip(linear, fitted.coefs_, fitted.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(weight).T)
            layer.bias.copy_(torch.from_numpy(bias))


def refuse_too_large(size: int) -> None:
    """Raises UserError if scikit-learn would need more memory than there is for windows of `size` bytes."""
    need, have = COPIES * size, physical_memory()
    if need > have:
        raise UserError(
            f"model mlp holds all windows in memory, {COPIES} times over: {need / 1e9:.1f} GB, of "
            f"{have / 1e9:.1f} GB; lower resize.height and resize.width, raise resize.stride, or set "
            "model.name: dense, the same network trained batch by batch"
        )


def physical_memory() -> int:
    """Bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
