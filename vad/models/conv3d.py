"""Convolutional autoencoder over space and time."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from vad import UserError
from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.models.layers import Stride, channels_last, decoder, encoder
from vad.pipeline.params import Field

PRESETS: dict[str, tuple[list[int], list[Stride]]] = {  # channels, strides over (frames, height, width)
    "small": ([8, 16], [(2, 2, 2), (2, 2, 2)]),
    "memae": ([96, 128, 256, 256], [(1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)]),
}


@MODELS.register
class Conv3d(Autoencoder):
    """Convolutional autoencoder over space and time, after the backbone of MemAE (Gong et al., ICCV 2019).

    Encoder: strided 3x3x3 convolutions, BatchNorm3d, LeakyReLU 0.2. Decoder: the same in reverse order with
    transposed convolutions, a sigmoid at the end. `preset`:

    | preset | channels | axes with stride 2 | frames | height, width | parameters, C = 1 |
    |---|---|---|---|---|---|
    | small | 8, 16 | all, twice | multiple of 4 | multiples of 4 | 7,409 |
    | memae | 96, 128, 256, 256 | space, then all three times | multiple of 8 | multiples of 16 | 5,979,585 |

    `memae` has the published layers, without the memory (which the model `memae` has).

    Windows (C, T, h, w) -> the same shape, or that of their flow planes. Designed for windows of 16 frames.
    """

    class Params(AutoencoderParams):
        """`model.conv3d`"""

        objective: Literal["reconstruct", "translate"] = Field(
            "reconstruct", description="reconstruct the window, or translate its appearance into its flow"
        )
        preset: Literal["small", "memae"] = Field(
            "small",
            description="`small`: 8 and 16 channels, windows of a multiple of 4 frames; `memae`: 96, 128, "
            "256 and 256 channels, a multiple of 8 frames",
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        filters, strides = PRESETS[params.preset]
        divisible("conv3d", shape, 2 ** len(strides))
        frames, by = shape[1], 2 ** sum(stride[0] == 2 for stride in strides)
        if frames % by:
            # frames + -frames % by is the next multiple of `by`
            raise UserError(
                f"conv3d with preset {params.preset} needs model.conv3d.window.frames divisible by {by}, got "
                f"{frames}: try {frames + -frames % by}"
            )
        self.encoder = encoder(self.input_shape[0], filters, strides)
        self.decoder = decoder(self.output_shape[0], filters, strides)
        self.end = nn.Sigmoid()
        channels_last(self, axes=3)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.inputs(x).contiguous(memory_format=torch.channels_last_3d)
        code = self.encoder(frames)  # (B, N, T', h', w')
        return self.end(self.decoder(code))  # (B, C', T, h, w)
