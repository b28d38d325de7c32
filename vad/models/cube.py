"""Small autoencoders for object cubes, separate for appearance and flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.pipeline.params import Field
from vad.windows.planes import FLOW, SINGLE_FRAME, STILL_INPUT, WHITE

CONTRAST = 0.05  # added to a crop's standard deviation, so that flat crops are not amplified into noise
LEVEL = 1 / WHITE  # a single level of the uint8 tensors: the least root mean square of flow
BLOCK = 2  # side, in pixels, of the blocks over which flow is averaged


@MODELS.register
class Cube(Autoencoder):
    """Dense autoencoders for object cubes, a separate network and a separate error for each branch.

    The planes flow_x and flow_y form the branch `flow`, all others the branch `appearance`; a branch without
    planes is absent. The flow network codes all frames of the window, averaged over blocks of 2x2 pixels; the
    pixels of a block share a value in output and target. The appearance network codes only the frame that the
    window belongs to; the other frames are 0 in output and target. Each network has linear layers to `hidden`
    units and to the latent vector, and the same in reverse, with GELU after the hidden layers. This follows
    the object-centric autoencoders of Ionescu et al. (CVPR 2019), with dense in place of convolutional
    layers, which train in seconds instead of minutes.

    Output, target and errors are in standardised units. A plane of appearance is (x - mean) / (standard
    deviation + 0.05), which removes lighting. A plane of flow is divided by its root mean square in the
    training windows, which `adapt` sets; it is not centred, so that 0 is no motion and values are
    proportional to speed. The networks share no weights, so Adam is indifferent to the scales of their
    losses.

    Windows (C, T, h, w) -> the same shape; height and width must be even.
    """

    class Params(AutoencoderParams):
        """`model.cube`"""

        hidden: int = Field(256, ge=1, description="units of the hidden layers")
        latent_appearance: int = Field(64, ge=1, description="length of the latent vector of appearance")
        latent_flow: int = Field(32, ge=1, description="length of the latent vector of flow")

    params: Params
    speed: Tensor

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("cube", shape, BLOCK)
        flow = [i for i, name in enumerate(self.channels) if name in FLOW]
        appearance = [i for i in range(shape[0]) if i not in flow]
        planes = {"appearance": appearance, "flow": flow}
        self.planes = {branch: indices for branch, indices in planes.items() if indices}
        _, t, h, w = shape
        # the appearance of neighbouring frames is nearly the same, but motion shows in all of them
        self.frames = {"appearance": slice(self.scored_frame, self.scored_frame + 1), "flow": slice(0, t)}
        inputs = {"appearance": len(appearance) * h * w, "flow": len(flow) * t * (h // BLOCK) * (w // BLOCK)}
        latent = {"appearance": params.latent_appearance, "flow": params.latent_flow}
        self.coders = nn.ModuleDict(
            {branch: _coder(inputs[branch], params.hidden, latent[branch]) for branch in self.planes}
        )
        self.register_buffer("speed", torch.ones(len(flow)))  # root mean square per plane, set by `adapt`

    @property
    def branches(self) -> list[str]:
        return list(self.planes)

    @property
    def single_frame(self) -> list[str]:
        shown = {self.channels[i] for i in self.planes.get("appearance", [])}
        return ["appearance"] if shown and shown <= set(SINGLE_FRAME) else []

    def adapt(self, sample: Tensor) -> None:
        if "flow" in self.planes:
            motion = sample[:, self.planes["flow"]] - STILL_INPUT
            self.speed.copy_(motion.square().mean((0, 2, 3, 4)).sqrt().clamp(min=LEVEL))

    def target(self, x: Tensor) -> Tensor:
        """The windows in standardised units, (B, C, T, h, w)."""
        return self._join(self._split(x), x)

    def forward(self, x: Tensor) -> Tensor:
        return self._join({branch: self._code(branch, part) for branch, part in self._split(x).items()}, x)

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        # branch by branch, since `target` and `forward` would standardise the input twice, and add zeros
        return {
            branch: _pixels(branch, part - self._code(branch, part))
            for branch, part in self._split(x).items()
        }

    def _code(self, branch: str, part: Tensor) -> Tensor:
        """The output of a network, in the shape of its input."""
        return self.coders[branch](part.flatten(1)).view_as(part)

    def _split(self, x: Tensor) -> dict[str, Tensor]:
        """The standardised input of each network: (B, planes, frames, h, w), flow averaged over blocks."""
        parts = {branch: x[:, indices][:, :, self.frames[branch]] for branch, indices in self.planes.items()}
        if (crop := parts.get("appearance")) is not None:
            deviation, mean = torch.std_mean(crop, (2, 3, 4), correction=0, keepdim=True)
            parts["appearance"] = (crop - mean) / (deviation + CONTRAST)
        if (flow := parts.get("flow")) is not None:
            motion = (flow - STILL_INPUT) / self.speed.view(-1, 1, 1, 1)
            parts["flow"] = F.avg_pool3d(motion, (1, BLOCK, BLOCK))
        return parts

    def _join(self, parts: dict[str, Tensor], x: Tensor) -> Tensor:
        """Puts the parts of all branches where windows `x` have them, 0 elsewhere: (B, C, T, h, w)."""
        out = torch.zeros(x.shape, dtype=next(iter(parts.values())).dtype, device=x.device)
        for branch, part in parts.items():
            out[:, self.planes[branch], self.frames[branch]] = _pixels(branch, part)
        return out


def _pixels(branch: str, part: Tensor) -> Tensor:
    """A part in the size of the window, (B, planes, frames, h, w): pixels of a block share its value."""
    return part.repeat_interleave(BLOCK, 3).repeat_interleave(BLOCK, 4) if branch == "flow" else part


def _coder(inputs: int, hidden: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.GELU(),
        nn.Linear(hidden, latent),
        nn.Linear(latent, hidden),
        nn.GELU(),
        nn.Linear(hidden, inputs),
    )
