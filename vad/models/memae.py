"""Memory-augmented autoencoder: its code is a mixture of normal patterns in a memory."""

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
    """Replaces every vector by a sparse mixture of the most similar rows of `slots`, (N, C).

    The weights of the mixture are the softmax over the slots of the similarity, a cosine or a dot product.
    Weights up to `shrinkage` become 0 (hard shrinkage); the others are divided by their sum. If all weights
    are 0, the mixture is 0.

    Args:
        slots: number N of patterns.
        width: channels C of a vector.
        shrinkage: 0 or more; weights up to it become 0.
        cosine: whether similarity is the cosine, not the dot product.
    """

    def __init__(self, slots: int, width: int, shrinkage: float, cosine: bool):
        super().__init__()
        self.shrinkage, self.cosine = shrinkage, cosine
        self.slots = nn.Parameter(torch.empty(slots, width).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Looks all vectors up in the memory.

        Args:
            z: vectors, float (B, C, *sides) with P positions.

        Returns:
            Their mixtures, of the same shape, and the weights (B, P, N).
        """
        query = z.flatten(2).transpose(1, 2)  # (B, P, C)
        slots: Tensor = self.slots
        if self.cosine:
            query, slots = F.normalize(query, dim=-1), F.normalize(slots, dim=-1)
        weights = (query @ slots.T).softmax(-1)  # (B, P, N)
        excess = weights - self.shrinkage
        # hard shrinkage in the differentiable form of the paper: the weight itself, or 0
        weights = F.relu(excess) * weights / (excess.abs() + EPS)
        weights = F.normalize(weights, p=1, dim=-1)
        return (weights @ self.slots).transpose(1, 2).reshape(z.shape), weights


@MODELS.register
class MemAE(Autoencoder):
    """Memory-augmented autoencoder (Gong et al., ICCV 2019).

    Encoder: per entry of `channels` a convolution of width 3 with stride 2, batch norm and LeakyReLU 0.2.
    Decoder: the same in reverse order with transposed convolutions, a sigmoid at the end. Between encoder
    and decoder, each position of the code passes through the memory (see `Memory`); the mean entropy of the
    memory's weights, times `entropy`, is added to the loss.

    Backbone conv2d codes the frames of a window independently; conv3d codes them together, and its first
    convolution has stride 1 over time. With channels 96, 128, 256, 256, windows of 16 frames and 2000 slots,
    conv3d is the published network, except that the latter ends without a sigmoid.

    Windows (C, T, h, w) -> the same shape. Height and width must be multiples of 2 ** len(channels); for
    conv3d, the number of frames must be a multiple of 2 ** (len(channels) - 1).

    Similarity is the cosine in the paper, with `shrinkage` from 1 / slots to 3 / slots; the authors' code
    uses dot products, with shrinkage 0.0025 and 2000 slots. Weights by cosines are below e^2 / slots, so a
    shrinkage above 3 / slots would remove nearly all of them and prevent learning; it is refused.
    """

    class Params(AutoencoderParams):
        """`model.memae`"""

        backbone: Literal["conv2d", "conv3d"] = Field(
            "conv2d",
            description="code the frames of a window independently (conv2d) or together (conv3d); conv3d "
            "needs a multiple of 2 ** (entries of channels - 1) frames",
        )
        channels: list[Annotated[int, Field(ge=1)]] = Field(
            [32, 64, 128],
            min_length=1,
            max_length=6,
            description="channels of the convolutions, each of stride 2",
        )
        slots: int = Field(2000, ge=2, description="patterns in the memory")
        addressing: Literal["cosine", "dot"] = Field(
            "dot",
            description="similarity to a pattern: the cosine, as in the paper, or the dot product, as in the "
            "authors' code",
        )
        shrinkage: float = Field(
            0.0025,
            ge=0,
            description="pattern weights up to this become 0; with `cosine` set it from 1 / slots to "
            "3 / slots, or to 0 for no shrinkage",
        )
        entropy: float = Field(
            0.0002, ge=0, description="weight in the loss of the entropy of the pattern weights"
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
                f"every weight: set it from {1 / params.slots:.3g} to {3 / params.slots:.3g} (1 / slots to "
                "3 / slots), or to 0 for no shrinkage"
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
        self._entropy: Tensor | float = 0.0  # of the weights in the last `forward`

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        by_frame = self.params.backbone == "conv2d"
        frames = x.transpose(1, 2).flatten(0, 1) if by_frame else x  # (B * T, C, h, w) or (B, C, T, h, w)
        code = self.encoder(frames.contiguous(memory_format=self.layout))
        code, weights = self.memory(code)
        self._entropy = -(weights * (weights + EPS).log()).sum(-1).mean()
        y = self.end(self.decoder(code.contiguous(memory_format=self.layout)))
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2) if by_frame else y

    def penalty(self) -> Tensor | float:
        return self.params.entropy * self._entropy

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_entropy": 0.0}  # a tensor with a gradient function cannot be copied
