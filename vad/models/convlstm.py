"""Convolutional LSTM autoencoder: convolutions over each frame, LSTMs over time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad import UserError
from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape
from vad.models.layers import channels_last
from vad.pipeline.params import Field

Width = Annotated[int, Field(ge=1)]  # channels of a layer
LEAST_SIDE = 27  # pixels, which the convolutions reduce to a single pixel
SIDE_STEP = 8  # the product of their strides


class ConvLSTM(nn.Module):
    """LSTM whose matrix products are 3x3 convolutions (Shi et al., NeurIPS 2015), without peepholes.

    Sequences (B, T, C, h, w) -> hidden states (B, T, H, h, w). The initial state is zero.

    Args:
        inputs: channels C of the input.
        hidden: channels H of the state.
    """

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.from_input = nn.Conv2d(inputs, 4 * hidden, 3, padding=1)
        self.from_hidden = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # this part of the gates does not depend on the state, so it is computed for all frames at once
        from_input = self.from_input(x.flatten(0, 1)).unflatten(0, (-1, x.shape[1]))
        hidden: Tensor | None = None
        cell: Tensor | None = None
        states = []
        for gates in from_input.unbind(1):  # (B, 4 * H, h, w)
            if hidden is not None:
                gates = gates + self.from_hidden(hidden)
            input_gate, forget_gate, output_gate, candidate = gates.chunk(4, 1)
            update = input_gate.sigmoid() * candidate.tanh()
            cell = update if cell is None else forget_gate.sigmoid() * cell + update
            hidden = output_gate.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, 1)


@MODELS.register
class ConvLSTMAutoencoder(Autoencoder):
    """Spatiotemporal autoencoder (Chong & Tay, ISNN 2017).

    For each frame two convolutions, 11x11 with stride 4 and 5x5 with stride 2, to `filters` channels; over
    time a ConvLSTM per entry of `hidden`; for each frame two transposed convolutions of the same widths and
    strides, to filters[1] channels and to the planes. tanh between them, a sigmoid at the end. The published
    model has filters 128 and 64, hidden 64, 32 and 64, and windows of 10 frames of 227x227.

    Windows (C, T, h, w) -> the same shape, or that of their flow planes. Any number of frames; height and
    width from 27. Without padding the decoder can only restore sides of 27 + 8 n pixels; other sides are
    padded to the next such length by repeating the edge, and the output is cropped.
    """

    class Params(AutoencoderParams):
        """`model.convlstm`"""

        objective: Literal["reconstruct", "translate"] = Field(
            "reconstruct", description="reconstruct the window, or translate its appearance into its flow"
        )
        filters: list[Width] = Field(
            [128, 64],
            min_length=2,
            max_length=2,
            description="channels of the two convolutions, 11x11 with stride 4 and 5x5 with stride 2",
        )
        hidden: list[Width] = Field(
            [64, 32, 64], min_length=1, max_length=6, description="channels of the ConvLSTMs"
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        if min(shape[2:]) < LEAST_SIDE:
            raise UserError(
                f"convlstm needs resize.height and resize.width of at least {LEAST_SIDE}, got "
                f"{shape[2]} and {shape[3]}: try 32 or more"
            )
        a, b = params.filters
        hidden = [b, *params.hidden]
        self.encoder = nn.Sequential(
            nn.Conv2d(self.input_shape[0], a, 11, 4), nn.Tanh(), nn.Conv2d(a, b, 5, 2), nn.Tanh()
        )
        self.lstm = nn.Sequential(*(ConvLSTM(m, n) for m, n in pairwise(hidden)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(hidden[-1], b, 5, 2),
            nn.Tanh(),
            nn.ConvTranspose2d(b, self.output_shape[0], 11, 4),
            nn.Sigmoid(),
        )
        channels_last(self)
        missing = [(LEAST_SIDE - side) % SIDE_STEP for side in (shape[3], shape[2])]  # to the next 27 + 8 n
        self.pad = [n for pixels in missing for n in (pixels // 2, pixels - pixels // 2)]  # as F.pad has them

    def forward(self, x: Tensor) -> Tensor:
        b, _, t, h, w = x.shape
        left, _, top, _ = self.pad
        frames = self.inputs(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        frames = F.pad(frames, self.pad, mode="replicate")
        code = self.encoder(frames.contiguous(memory_format=torch.channels_last))
        code = self.lstm(code.unflatten(0, (b, t)))  # (B, T, hidden[-1], h', w')
        y = self.decoder(code.flatten(0, 1))[:, :, top : top + h, left : left + w]
        return y.unflatten(0, (b, t)).transpose(1, 2)  # (B, C', T, h, w)
