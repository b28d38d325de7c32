"""An autoencoder that can only output mixtures of the normal patterns in its memory."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad import UserError
from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.models.layers import LAYOUTS, Stride, channels_last, decoder, encoder
from vad.pipeline.params import Field

EPS = 1e-12  # avoids log(0) and division by 0


class Memory(nn.Module):
    """Replaces every vector by a sparse mixture of the rows of `slots`, (N, C), that resemble it.

    The weights of a vector: softmax over the slots of the similarity, a cosine or a dot product; those up
    to `shrinkage` become 0 (hard shrinkage); the others are divided by their sum. Where none is left, the
    mixture is 0.

    Args:
        slots: number N of patterns.
        width: channels C of a vector.
        shrinkage: from 0; weights up to it become 0.
        cosine: whether similarity is the cosine, not the dot product.
    """

    def __init__(self, slots: int, width: int, shrinkage: float, cosine: bool):
        super().__init__()
        self.shrinkage, self.cosine = shrinkage, cosine
        self.slots = nn.Parameter(torch.empty(slots, width).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, C, ...) -> (their mixtures, of the same shape; their weights (B, P, N))."""
        query = z.flatten(2).transpose(1, 2)  # (B, P, C), P positions
        slots: Tensor = self.slots
        if self.cosine:
            query, slots = F.normalize(query, dim=-1), F.normalize(slots, dim=-1)
        w = (query @ slots.T).softmax(-1)  # (B, P, N)
        over = w - self.shrinkage
        w = F.relu(over) * w / (over.abs() + EPS)  # w or 0, with a gradient
        w = F.normalize(w, p=1, dim=-1)
        return (w @ self.slots).transpose(1, 2).reshape(z.shape), w


@MODELS.register
class MemAE(Autoencoder):
    """Memory-augmented autoencoder (Gong et al., ICCV 2019).

    Encoder and decoder per entry of `channels`: a convolution of width 3 with stride 2, batch norm, LeakyReLU
    0.2; mirrored with transposed convolutions, a sigmoid at the end. Backbone conv2d codes each frame of a
    window by itself; conv3d codes them together, and its first stride leaves time as it is: with channels
    96, 128, 256, 256, 16 frames and slots 2000 it is the published network, but for its linear end. Between
    the two each position of the code passes through the memory (see `Memory`), and the mean entropy of its
    weights, times `entropy`, joins the loss.

    Windows (C, T, h, w) -> the same shape. Height and width must be multiples of 2 ** len(channels), and
    for conv3d the frames of 2 ** (len(channels) - 1).

    Similarity is the cosine in the paper, with `shrinkage` from 1 / slots to 3 / slots; the authors' code
    takes dot products, with shrinkage 0.0025 and 2000 slots. Cosines keep every weight below e^2 / slots, so
    with them a shrinkage above 3 / slots would leave hardly any and nothing be learned: refused.
    """

    class Params(AutoencoderParams):
        """`model.memae`"""

        backbone: Literal["conv2d", "conv3d"] = Field(
            "conv2d",
            description="code each frame by itself, or the frames of a window together, whose number must "
            "then be a multiple of 2 ** (entries of channels - 1)",
        )
        channels: list[Annotated[int, Field(ge=1)]] = Field(
            [32, 64, 128],
            min_length=1,
            max_length=6,
            description="channels of its convolutions of stride 2",
        )
        slots: int = Field(2000, ge=2, description="patterns that the memory holds")
        addressing: Literal["cosine", "dot"] = Field(
            "dot",
            description="similarity to a pattern: the cosine as in the paper, the dot product as in its "
            "authors' code",
        )
        shrinkage: float = Field(
            0.0025,
            ge=0,
            description="weights of patterns up to it become 0; for `cosine` from 1 / slots to 3 / slots, 0 "
            "for none",
        )
        entropy: float = Field(
            0.0002, ge=0, description="weight of the entropy of the patterns' weights in the loss"
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        depth = len(params.channels)
        divisible("memae", shape, 2**depth)
        frames, by = shape[1], 2 ** (depth - 1)
        if params.backbone == "conv3d" and frames % by:
            raise UserError(
                f"memae with backbone conv3d and {depth} channels needs model.memae.window.frames divisible "
                f"by {by}, got {frames}: try {frames + -frames % by}"
            )
        if params.addressing == "cosine" and params.shrinkage * params.slots > 3:
            raise UserError(
                f"model.memae.shrinkage = {params.shrinkage:g} with {params.slots} slots and cosines may cut "
                f"every weight: set it from {1 / params.slots:.3g} to {3 / params.slots:.3g}, 1 and 3 by "
                "model.memae.slots, or to 0 for none"
            )
        strides: list[Stride] = [(2, 2)] * depth
        if params.backbone == "conv3d":
            strides = [(1, 2, 2), *[(2, 2, 2)] * (depth - 1)]
        axes = len(strides[0])
        self.layout = LAYOUTS[axes]
        self.encoder = channels_last(encoder(self.input_shape[0], params.channels, strides), axes)
        self.memory = Memory(
            params.slots, params.channels[-1], params.shrinkage, params.addressing == "cosine"
        )
        self.decoder = channels_last(decoder(self.output_shape[0], params.channels, strides), axes)
        self.end = nn.Sigmoid()
        self._entropy: Tensor | float = 0.0  # of the last forward

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        by_frame = self.params.backbone == "conv2d"
        frames = x.transpose(1, 2).flatten(0, 1) if by_frame else x  # (B * T, C, h, w) or (B, C, T, h, w)
        code = self.encoder(frames.contiguous(memory_format=self.layout))
        code, w = self.memory(code)
        self._entropy = -(w * (w + EPS).log()).sum(-1).mean()
        y = self.end(self.decoder(code.contiguous(memory_format=self.layout)))
        return y.unflatten(0, (len(x), -1)).transpose(1, 2) if by_frame else y

    def penalty(self) -> Tensor | float:
        return self.params.entropy * self._entropy

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_entropy": 0.0}  # a tensor with a history cannot be copied
