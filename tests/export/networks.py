"""Untrained networks of every model, small enough for tests."""

from typing import get_args

import torch

from vad import models
from vad.branches.network import ReductionParams
from vad.branches.window_errors import WindowErrors
from vad.models import MODELS
from vad.windows.planes import FLOW

PLANES = ("gray", *FLOW)
SMALL = {  # parameters of small networks; those of the others are so by default
    "conv2d": {"window": {"frames": 2}, "channels": [4, 8]},
    "conv3d": {"window": {"frames": 4}},
    "convlstm": {"window": {"frames": 3}, "filters": [4, 4], "hidden": [4, 3]},
    "cube": {"window": {"frames": 3}, "hidden": 16},
    "dense": {"window": {"frames": 2}, "hidden": [16, 8, 16]},
    "memae": {"window": {"frames": 2}, "channels": [4, 8], "slots": 20, "shrinkage": 0.01},
    "mlp": {"window": {"frames": 2}, "hidden": [16, 8, 16]},
    "unet": {"window": {"frames": 3, "position": "last"}, "channels": [4, 8]},
    "vgg16": {"window": {"frames": 2}, "depth": 3, "decoder": [4, 4, 4]},
}
VARIANTS = {  # further ways through the same classes
    "conv3d memae": ("conv3d", {"preset": "memae", "window": {"frames": 8}}),
    "memae conv3d": ("memae", {"backbone": "conv3d"}),
    "memae cosine": ("memae", {"addressing": "cosine", "shrinkage": 0.1}),
}


def configurations() -> dict[str, tuple[str, dict]]:
    """Every model, with every objective that it has, and the variants, by name."""
    found = {}
    for name in MODELS.names():
        field = MODELS.get(name).Params.model_fields.get("objective")
        for objective in get_args(field.annotation) if field else [None]:
            changes = {"objective": objective} if objective else {}
            if objective == "predict":
                changes["window"] = {"frames": 3, "position": "last"}
            found[f"{name} {objective}" if objective else name] = (name, changes)
    return found | VARIANTS


def networks(
    name: str, changes: dict, reductions: ReductionParams | None = None, folds: int = 2
) -> list[WindowErrors]:
    """Networks of folds with different weights, as `measure` and `export` load them."""
    params = MODELS.get(name).Params(**SMALL[name] | changes)
    planes = ("gray",) if name == "vgg16" else PLANES
    shape = len(planes), params.window.frames, 32, 32
    out = []
    for fold in range(folds):
        torch.manual_seed(fold)
        model = models.create(name, params, shape, planes)
        model.adapt(torch.rand(4, *shape))
        with torch.inference_mode():  # statistics of batch norm that are not those of the beginning
            model.train()(torch.rand(4, *shape))
        out.append(WindowErrors(model.eval(), reductions or ReductionParams()))
    return out
