"""Small autoencoders for cubes around objects, of their appearance and of their flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.pipeline.params import Field
from vad.windows.planes import FLOW, STILL_INPUT, WHITE

CONTRAST = 0.05  # is added to a crop's standard deviation, so that flat crops do not become noise
LEVEL = 1 / WHITE  # the step of the tensors: the least root mean square of flow
BLOCK = 2  # pixels each way over which flow is averaged


@MODELS.register
class Cube(Autoencoder):
    """Dense autoencoders for object cubes, one per branch; errors of the branches stay apart.

    The planes flow_x and flow_y are the branch `flow`, all others the branch `appearance`; a branch without
    planes is absent. Flow is coded in all frames of the window and averaged over blocks of 2x2 pixels,
    which share a value in output and target; appearance is coded in the frame that the window belongs to, the
    others are 0 in both. Each branch: linear layers to `hidden`, to its latent vector, and back the same way,
    GELU after the hidden ones. After the object-centric autoencoders of Ionescu et al. (CVPR 2019), dense
    where theirs are convolutional: seconds of training in place of minutes.

    Output, target and errors are in standardised units: a plane of appearance minus its mean, over its
    standard deviation + 0.05, which takes lighting out; a plane of flow minus the value of standing still (so
    that faster is a multiple), over its root mean square in the training windows, which `adapt` sets. The
    branches share no weights, so that their shares of the loss do not matter to Adam.

    Windows (C, T, h, w) -> the same shape; height and width must be even.
    """

    class Params(AutoencoderParams):
        """`model.cube`"""

        hidden: int = Field(256, ge=1, description="units of the hidden layers")
        latent_appearance: int = Field(64, ge=1, description="numbers that code the appearance of a cube")
        latent_flow: int = Field(32, ge=1, description="numbers that code its flow")

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
        # appearance is that of a moment, motion takes time
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

    def adapt(self, sample: Tensor) -> None:
        if "flow" in self.planes:
            motion = sample[:, self.planes["flow"]] - STILL_INPUT
            self.speed.copy_(motion.square().mean((0, 2, 3, 4)).sqrt().clamp(min=LEVEL))

    def target(self, x: Tensor) -> Tensor:
        """The windows in standardised units, (B, C, T, h, w)."""
        return self._join(self._split(x), x)

    def forward(self, x: Tensor) -> Tensor:
        parts = self._split(x)
        outputs = {
            branch: self.coders[branch](part.flatten(1)).view_as(part) for branch, part in parts.items()
        }
        return self._join(outputs, x)

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        residual = self.target(x) - self(x)  # (B, C, T, h, w)
        return {
            branch: residual[:, indices][:, :, self.frames[branch]] for branch, indices in self.planes.items()
        }

    def _split(self, x: Tensor) -> dict[str, Tensor]:
        """What each branch codes, standardised: (B, its planes, its frames, h, w), flow in blocks."""
        parts = {branch: x[:, indices][:, :, self.frames[branch]] for branch, indices in self.planes.items()}
        if (crop := parts.get("appearance")) is not None:
            deviation, mean = torch.std_mean(crop, (2, 3, 4), correction=0, keepdim=True)
            parts["appearance"] = (crop - mean) / (deviation + CONTRAST)
        if (flow := parts.get("flow")) is not None:
            motion = (flow - STILL_INPUT) / self.speed.view(-1, 1, 1, 1)
            parts["flow"] = F.avg_pool3d(motion, (1, BLOCK, BLOCK))
        return parts

    def _join(self, parts: dict[str, Tensor], x: Tensor) -> Tensor:
        """The branches' planes and frames where windows `x` have them, 0 elsewhere: (B, C, T, h, w)."""
        out = torch.zeros(x.shape, dtype=next(iter(parts.values())).dtype, device=x.device)
        for branch, part in parts.items():
            if branch == "flow":  # blocks become pixels again
                part = part.repeat_interleave(BLOCK, 3).repeat_interleave(BLOCK, 4)
            out[:, self.planes[branch], self.frames[branch]] = part
        return out


def _coder(inputs: int, hidden: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.GELU(),
        nn.Linear(hidden, latent),
        nn.Linear(latent, hidden),
        nn.GELU(),
        nn.Linear(hidden, inputs),
    )
