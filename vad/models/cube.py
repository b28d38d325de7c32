"""Small autoencoders for cubes around objects: one for appearance, one for flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad.models import Autoencoder, ModelParams, Shape, divisible, register
from vad.pipeline.params import Field
from vad.windows.planes import FLOW

STILL = 128 / 255  # what a flow plane holds where nothing moves
CONTRAST = 0.05  # is added to a crop's standard deviation, so that flat crops do not become noise
LEVEL = 1 / 255  # the step of the tensors: the least standard deviation of flow
BLOCK = 2  # pixels each way over which flow is averaged


class Params(ModelParams):
    """`model.cube`: units of the hidden layers, and numbers that each branch is squeezed into."""

    hidden: int = Field(ge=1)
    latent_appearance: int = Field(ge=1)
    latent_flow: int = Field(ge=1)


@register("cube")
class Cube(Autoencoder):
    """Dense autoencoders for object cubes, one per branch; errors of the branches stay apart.

    The planes flow_x and flow_y are the branch `flow`, all others the branch `appearance`; a branch without
    planes is not there. Flow is coded in all frames of the window and averaged over blocks of 2x2 pixels,
    which share a value in output and target; appearance is coded in the frame that the window belongs to, the
    others are 0 in both. Each branch: linear layers to `hidden`, to its latent vector, and back the same way,
    GELU after the hidden ones. After the object-centric autoencoders of Ionescu et al. (CVPR 2019), dense
    where theirs are convolutional: seconds of training in place of minutes.

    Works in standardised units, in which its output, target and errors are too: a plane of appearance minus
    its mean, over its standard deviation + 0.05, which takes lighting out; a plane of flow about standing
    still (so that faster is a multiple), over its root mean square in the training windows, which `adapt`
    sets. The branches share no weights, so that their shares of the loss do not matter to Adam.
    Windows (C, T, h, w) -> the same shape; height and width must be even.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("cube", shape, BLOCK)
        flow = [i for i, name in enumerate(self.channels) if name in FLOW]
        appearance = [i for i in range(shape[0]) if i not in flow]
        planes = {"appearance": appearance, "flow": flow}
        self.planes = {name: own for name, own in planes.items() if own}
        _, t, h, w = shape
        # a look is that of a moment, motion takes time
        self.frames = {"appearance": slice(self.own_frame, self.own_frame + 1), "flow": slice(0, t)}
        inputs = {"appearance": len(appearance) * h * w, "flow": len(flow) * t * (h // BLOCK) * (w // BLOCK)}
        latent = {"appearance": params.latent_appearance, "flow": params.latent_flow}
        self.coders = nn.ModuleDict(
            {name: _coder(inputs[name], params.hidden, latent[name]) for name in self.planes}
        )
        self.register_buffer("speed", torch.ones(len(flow)))  # per plane of flow, until `adapt`

    @property
    def branches(self) -> list[str]:
        return list(self.planes)

    def adapt(self, sample: Tensor) -> None:
        if "flow" in self.planes:
            moved = sample[:, self.planes["flow"]] - STILL
            self.speed.copy_(moved.square().mean((0, 2, 3, 4)).sqrt().clamp(min=LEVEL))

    def target(self, x: Tensor) -> Tensor:
        """The windows in standardised units, (B, C, T, h, w)."""
        return self._whole({name: _enlarge(name, part) for name, part in self._parts(x).items()}, x)

    def forward(self, x: Tensor) -> Tensor:
        parts = self._parts(x)
        made = {name: self.coders[name](part.flatten(1)).view_as(part) for name, part in parts.items()}
        return self._whole({name: _enlarge(name, part) for name, part in made.items()}, x)

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        residual = self.target(x) - self(x)  # (B, C, T, h, w)
        return {name: residual[:, own][:, :, self.frames[name]] for name, own in self.planes.items()}

    def _parts(self, x: Tensor) -> dict[str, Tensor]:
        """What each branch codes, standardised: (B, its planes, its frames, h, w), flow in blocks."""
        parts = {name: x[:, own][:, :, self.frames[name]] for name, own in self.planes.items()}
        if (crop := parts.get("appearance")) is not None:
            deviation, mean = torch.std_mean(crop, (2, 3, 4), correction=0, keepdim=True)
            parts["appearance"] = (crop - mean) / (deviation + CONTRAST)
        if (flow := parts.get("flow")) is not None:
            parts["flow"] = F.avg_pool3d((flow - STILL) / self.speed.view(-1, 1, 1, 1), (1, BLOCK, BLOCK))
        return parts

    def _whole(self, parts: dict[str, Tensor], x: Tensor) -> Tensor:
        """The branches' planes and frames where `x` has them, 0 elsewhere."""
        out = torch.zeros(x.shape, dtype=next(iter(parts.values())).dtype, device=x.device)
        for name, part in parts.items():
            out[:, self.planes[name], self.frames[name]] = part
        return out


def _enlarge(name: str, part: Tensor) -> Tensor:
    """Blocks of flow as pixels again."""
    return part.repeat_interleave(BLOCK, 3).repeat_interleave(BLOCK, 4) if name == "flow" else part


def _coder(inputs: int, hidden: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.GELU(),
        nn.Linear(hidden, latent),
        nn.Linear(latent, hidden),
        nn.GELU(),
        nn.Linear(hidden, inputs),
    )
