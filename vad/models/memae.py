"""An autoencoder that can only make what it finds in a memory of normal patterns."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad import UserError
from vad.models import Autoencoder, ModelParams, Shape, divisible, register
from vad.models.layers import decoder, encoder
from vad.pipeline.params import Field

EPS = 1e-12


class Params(ModelParams):
    """`model.memae`"""

    backbone: Literal["conv2d", "conv3d"]
    channels: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=6)
    slots: int = Field(ge=2)
    addressing: Literal["cosine", "dot"]
    shrinkage: float = Field(ge=0)
    entropy: float = Field(ge=0)


class Memory(nn.Module):
    """Replaces every vector by a sparse mixture of the rows of `slots`, (N, C), that resemble it.

    The weights of a vector: softmax over the slots of the similarity, a cosine or a dot product; those up
    to `shrinkage` become 0 (hard shrinkage); what is left is divided by its sum. Where nothing is left, the
    mixture is 0.
    """

    def __init__(self, slots: int, size: int, shrinkage: float, cosine: bool):
        super().__init__()
        self.shrinkage, self.cosine = shrinkage, cosine
        self.slots = nn.Parameter(torch.empty(slots, size).uniform_(-(size**-0.5), size**-0.5))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, C, ...) -> (their mixtures, of the same shape; their weights (B, P, N))."""
        query = z.flatten(2).transpose(1, 2)  # (B, P, C), P positions
        slots = self.slots
        if self.cosine:
            query, slots = F.normalize(query, dim=-1), F.normalize(slots, dim=-1)
        w = (query @ slots.T).softmax(-1)  # (B, P, N)
        over = w - self.shrinkage
        w = F.relu(over) * w / (over.abs() + EPS)  # w or 0, with a gradient
        w = F.normalize(w, p=1, dim=-1)
        return (w @ self.slots).transpose(1, 2).reshape(z.shape), w


@register("memae")
class MemAE(Autoencoder):
    """Memory-augmented autoencoder (Gong et al., ICCV 2019).

    Encoder and decoder per entry of `channels`: a convolution of width 3 with stride 2, batch norm, LeakyReLU
    0.2; mirrored with transposed convolutions, a sigmoid at the end. Backbone conv2d codes the frames of a
    window one by one; conv3d codes them together, and its first stride leaves time as it is: with channels
    96, 128, 256, 256, window 16 and slots 2000 it is the published network, but for its linear end. Between
    the two each position of the code passes through the memory (see `Memory`), and the mean entropy of its
    weights, times `entropy`, joins the loss.

    Windows (C, T, h, w) -> the same shape. Height and width must be multiples of 2 ** len(channels), and
    for conv3d the window of 2 ** (len(channels) - 1).

    Similarity is the cosine in the paper, with `shrinkage` from 1 / slots to 3 / slots; the authors' code
    takes dot products, with shrinkage 0.0025 and 2000 slots. Cosines keep every weight below e^2 / slots, so
    with them a shrinkage above 3 / slots would leave hardly any and nothing be learned: refused.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        depth = len(params.channels)
        divisible("memae", shape, 2**depth)
        frames, by = shape[1], 2 ** (depth - 1)
        if params.backbone == "conv3d" and frames % by:
            raise UserError(
                f"memae with backbone conv3d and {depth} channels needs model.memae.window divisible by "
                f"{by}, got {frames}: try {frames + -frames % by}"
            )
        if params.addressing == "cosine" and params.shrinkage * params.slots > 3:
            raise UserError(
                f"model.memae.shrinkage = {params.shrinkage:g} with {params.slots} slots and cosines may cut "
                f"every weight: set it from {1 / params.slots:.3g} to {3 / params.slots:.3g}, 1 and 3 by "
                "model.memae.slots, or to 0 for none"
            )
        if params.backbone == "conv2d":
            strides: list[tuple[int, ...]] = [(2, 2)] * depth
            layout = torch.channels_last  # in which convolutions are fastest on CPUs
        else:
            strides = [(1, 2, 2)] + [(2, 2, 2)] * (depth - 1)
            layout = torch.channels_last_3d
        self.layout = layout
        self.encoder = encoder(self.given_shape[0], params.channels, strides).to(memory_format=layout)
        self.memory = Memory(
            params.slots, params.channels[-1], params.shrinkage, params.addressing == "cosine"
        )
        self.decoder = decoder(self.made_shape[0], params.channels, strides).to(memory_format=layout)
        self.end = nn.Sigmoid()
        self._entropy: Tensor | float = 0.0  # of the last forward

    def forward(self, x: Tensor) -> Tensor:
        x = self.given(x)
        flat = self.params.backbone == "conv2d"
        inputs = x.transpose(1, 2).flatten(0, 1) if flat else x  # (B * T, C, h, w) or (B, C, T, h, w)
        z = self.encoder(inputs.contiguous(memory_format=self.layout))
        z, w = self.memory(z)
        self._entropy = -(w * (w + EPS).log()).sum(-1).mean()
        y = self.end(self.decoder(z.contiguous(memory_format=self.layout)))
        return y.unflatten(0, (len(x), -1)).transpose(1, 2) if flat else y

    def penalty(self) -> Tensor | float:
        return self.params.entropy * self._entropy

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_entropy": 0.0}  # a tensor with a history cannot be copied
