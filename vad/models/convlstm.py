"""Frames coded by convolutions, their order by convolutional LSTMs."""

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
LEAST_SIDE = 27  # pixels: the convolutions make a single pixel of it
SIDE_STEP = 8  # the product of their strides


class ConvLSTM(nn.Module):
    """LSTM whose products with weights are 3x3 convolutions (Shi et al., NeurIPS 2015), without peepholes.

    Sequences (B, T, C, h, w) -> its hidden states (B, T, H, h, w). It starts from zeros.

    Args:
        inputs: channels C of its input.
        hidden: channels H of its state.
    """

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.from_input = nn.Conv2d(inputs, 4 * hidden, 3, padding=1)
        self.from_hidden = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # the part of the gates that does not depend on the state, of all frames at once
        from_input = self.from_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        hidden: Tensor | None = None
        cell: Tensor | None = None
        states = []
        for gates in from_input.unbind(1):  # (B, 4 * H, h, w)
            if hidden is not None:
                gates = gates + self.from_hidden(hidden)
            enter, forget, leave, new = gates.chunk(4, 1)
            new = enter.sigmoid() * new.tanh()
            cell = new if cell is None else forget.sigmoid() * cell + new
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, 1)


@MODELS.register
class ConvLSTMAutoencoder(Autoencoder):
    """Spatiotemporal autoencoder (Chong & Tay, ISNN 2017).

    Per frame two convolutions, 11x11 with stride 4 and 5x5 with stride 2, to `filters` channels; over the
    frames a ConvLSTM per entry of `hidden`; per frame two transposed convolutions of the same widths and
    strides, to filters[1] channels and to the planes. tanh between them, a sigmoid at the end. As published:
    filters 128, 64, hidden 64, 32, 64, 10 frames of 227x227, whose sides become 55, 26, 55, 227.

    Windows (C, T, h, w) -> the same shape, or that of their flow. Any number of frames; any height and
    width from 27. Without padding the convolutions give back 27, 35, 43, ... (27 + 8 n); other sides are
    filled up to the next of these by repeating the edge, and the output is cut back.
    """

    class Params(AutoencoderParams):
        """`model.convlstm`"""

        objective: Literal["reconstruct", "translate"] = Field(
            "reconstruct", description="make the window again, or make its flow of its appearance"
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
        lacks = [(LEAST_SIDE - side) % SIDE_STEP for side in (shape[3], shape[2])]  # of the next 27 + 8 n
        self.pad = [n for lack in lacks for n in (lack // 2, lack - lack // 2)]  # left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        b, _, t, h, w = x.shape
        left, _, top, _ = self.pad
        frames = self.inputs(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        frames = F.pad(frames, self.pad, mode="replicate")
        code = self.encoder(frames.contiguous(memory_format=torch.channels_last))
        code = self.lstm(code.unflatten(0, (b, t)))  # (B, T, hidden[-1], h', w')
        y = self.decoder(code.flatten(0, 1))[:, :, top : top + h, left : left + w]
        return y.unflatten(0, (b, t)).transpose(1, 2)  # (B, C', T, h, w)
