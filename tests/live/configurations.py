"""Configurations that together use every registered plug-in and recipe, for tests of live use.

Not the whole product: each alternative is in at least one, and alternatives that meet in a processor are
paired (windows of the last position with a stride, interpolated boxes with class scores, …).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.detection.test_detector import N, export, raw
from vad import recipe
from vad.store.downloads import hash_file

Choices = Mapping[str, Any]
RATE = 2.5  # frames per second of the tiny project: 24 in the time of a clip of the sample
DETECTOR = "detector.onnx"  # in the root folder of the project
ONNX = {"preprocess.person_crop.onnx.weights": DETECTOR, "preprocess.person_crop.onnx.confidence": 0.25}
# recipes, changes; the recipe `sample` stands for the other recipes of footage as well, whose layouts end at
# `ingest`; what they change behind it is in `resampled`
CONFIGURATIONS: dict[str, tuple[list[str], Choices]] = {
    "whole_frame": (["whole_frame"], {}),
    "weight_free": (["weight_free", "full_lookahead"], {}),
    "objects": (
        ["objects"],
        {
            **ONNX,
            "preprocess.person_crop.onnx.every_n": 3,
            "preprocess.foreground": {"history": 8 / RATE},
            "model.cube.window.frame_interval": 2 / RATE,
            # of as many frames as at ten frames per second or more; here there are 2.5
            "calibrate.error_sigma": 0.8,
            "calibrate.smooth": {"median": 6.0, "gaussian": 0.8},
        },
    ),
    "resampled": (
        ["objects"],
        {**ONNX, "extract.fps": 9.0, "extract.max_side": 48, "extract.color": "rgb"},
    ),
    "no_lookahead": (["weight_free", "no_lookahead"], {}),
    "little_lookahead": (
        ["weight_free"],
        {
            "calibrate.lookahead": 1.2,  # three of five frames
            "calibrate.smooth.median": 2.4,
            "preprocess.foreground": {"method": "knn"},
        },
    ),
    "silhouettes": (
        ["whole_frame"],
        {
            "flow.method": "dis",
            "preprocess.mode": "silhouette",
            "resize.channels": ["picture", "flow"],
            "resize.stride": 3,
            "model.name": "unet",
            "calibrate.smooth": {"median": 2.0, "gaussian": 0.4},
        },
    ),
    "frame_and_mask": (
        ["whole_frame"],
        {
            "preprocess.mode": "silhouette",
            "preprocess.silhouette.output": "frame+mask",
            "resize.height": 32,
            "resize.width": 32,
            "resize.fit": "letterbox",
            "model.name": "convlstm",
            "model.convlstm": {"window": {"frames": 4}},
        },
    ),
    "tracks": (
        ["weight_free"],
        {
            "preprocess.person_crop.motion.source": "difference",
            "preprocess.person_crop.crop": "square",
            "resize.stride": 2,
            "model.name": "memae",
            "model.memae.channels": [4, 8],
            "calibrate.aggregate": "track",
            "calibrate.pool": "mean_top",
        },
    ),
    "areas": (
        ["weight_free"],
        {
            "preprocess.person_crop.motion.source": "flow",
            "model.name": "dense",
            "model.dense.hidden": [16, 8, 16],
            "branches.reconstruction.maps": True,
            "calibrate.grid": [3, 1],
            "calibrate.fuse": "max",
            "calibrate.per_camera": True,
        },
    ),
    "difference_of_frames": (
        ["whole_frame"],
        {
            "extract.color": "rgb",
            "resize.channels": ["rgb", "difference"],
            "model.name": "conv3d",
            "model.conv3d.window": {"frames": 8, "frame_interval": 2 / RATE},
        },
    ),
    "vgg16": (
        ["whole_frame"],
        {"resize.height": 32, "resize.width": 32, "model.name": "vgg16"},
    ),
    "mlp": (
        ["whole_frame"],
        {"model.name": "mlp", "model.mlp.hidden": [16, 8, 16], "calibrate.normalisation": "z_score"},
    ),
}


def choices(name: str, detector: Path) -> dict[str, Any]:
    """All changes to params.yaml of a configuration; writes the detector if it needs one."""
    recipes, changes = CONFIGURATIONS[name]
    weights = None
    if "objects" in recipes:
        write_detector(detector)
        weights = str(detector)
    overrides = recipe.overrides(["sample", *recipes], detector=weights)
    if weights is not None:
        overrides["preprocess.person_crop.onnx.sha256"] = hash_file(detector)
    return {**overrides, **changes}


def write_detector(path: Path) -> None:
    """A detector whose boxes and classes change with the picture, so that every frame has other ones."""
    tint = (
        np.random.default_rng(1).uniform(0, 1e-3, (3, N, 8)).astype(np.float32)
    )  # probabilities stay above 0
    export(path, raw(0, confident=3), tint, meta={"names": "{0: 'person', 1: 'bicycle', 2: 'car'}"})
