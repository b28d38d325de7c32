"""Frames coded by convolutions, their order by convolutional LSTMs."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad import UserError
from vad.models import Autoencoder, ModelParams, Shape, register
from vad.pipeline.params import Field

Size = Annotated[int, Field(ge=1)]


class Params(ModelParams):
    """`model.convlstm`"""

    objective: Literal["reconstruct", "translate"]
    filters: list[Size] = Field(min_length=2, max_length=2)
    hidden: list[Size] = Field(min_length=1, max_length=6)


class ConvLSTM(nn.Module):
    """LSTM whose products with weights are 3x3 convolutions (Shi et al., NeurIPS 2015), without peepholes.

    Sequences (B, T, C, h, w) -> its hidden states (B, T, H, h, w). It starts from zeros.
    """

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.from_input = nn.Conv2d(inputs, 4 * hidden, 3, padding=1)
        self.from_hidden = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        given = self.from_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # of all frames at once
        hidden = cell = None
        states = []
        for gates in given.unbind(1):  # (B, 4 * H, h, w)
            if hidden is not None:
                gates = gates + self.from_hidden(hidden)
            enter, forget, leave, new = gates.chunk(4, 1)
            new = enter.sigmoid() * new.tanh()
            cell = new if cell is None else forget.sigmoid() * cell + new
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, 1)


@register("convlstm")
class ConvLSTMAutoencoder(Autoencoder):
    """Spatiotemporal autoencoder (Chong & Tay, ISNN 2017).

    Per frame two convolutions, 11x11 with stride 4 and 5x5 with stride 2, to `filters` channels; over the
    frames a ConvLSTM per entry of `hidden`; per frame two transposed convolutions of the same widths and
    strides, to filters[1] channels and to the planes. tanh between them, a sigmoid at the end. As published:
    filters 128, 64, hidden 64, 32, 64, 10 frames of 227x227, whose sides become 55, 26, 55, 227.

    Windows (C, T, h, w) -> the same shape, or that of their flow. Any window; any height and width from
    27. Without padding the convolutions give back 27, 35, 43, ... (27 + 8 n); other sides are filled up to
    the next of these by repeating the edge, and the output is cut back.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        if min(shape[2:]) < 27:
            raise UserError(
                "convlstm needs resize.height and resize.width of at least 27, got "
                f"{shape[2]} and {shape[3]}: try 32 or more"
            )
        a, b = params.filters
        hidden = [b, *params.hidden]
        self.encoder = nn.Sequential(
            nn.Conv2d(self.given_shape[0], a, 11, 4), nn.Tanh(), nn.Conv2d(a, b, 5, 2), nn.Tanh()
        )
        self.lstm = nn.Sequential(*(ConvLSTM(m, n) for m, n in pairwise(hidden)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(hidden[-1], b, 5, 2),
            nn.Tanh(),
            nn.ConvTranspose2d(b, self.made_shape[0], 11, 4),
            nn.Sigmoid(),
        )
        # channels last is the layout in which convolutions are fastest on CPUs
        self.to(memory_format=torch.channels_last)
        lacks = [(27 - side) % 8 for side in (shape[3], shape[2])]  # of the next of 27, 35, 43, ...
        self.pad = [n for lack in lacks for n in (lack // 2, lack - lack // 2)]  # left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        b, _, t, h, w = x.shape
        left, _, top, _ = self.pad
        frames = self.given(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        frames = F.pad(frames, self.pad, mode="replicate")
        z = self.encoder(frames.contiguous(memory_format=torch.channels_last))
        z = self.lstm(z.unflatten(0, (b, t)))  # (B, T, hidden[-1], h', w')
        y = self.decoder(z.flatten(0, 1))[:, :, top : top + h, left : left + w]
        return y.unflatten(0, (b, t)).transpose(1, 2)  # (B, C', T, h, w)
