"""Keys and stages that were renamed: the old names are refused with a message that gives the new name."""

import re

# old -> new; `*` is any single part of a dotted key
KEYS = {
    "novelty": "branches.classes",
    "score": "branches.reconstruction (cell: measure.cell, speed: branches.speed)",
    "calibrate.per": "calibrate.aggregate",
    "calibrate.sigma": "calibrate.error_sigma",
    "calibrate.scale": "calibrate.normalisation",
    "calibrate.smooth.causal": "calibrate.lookahead (0 in place of true, null in place of false)",
    "calibrate.threshold.sigma": "calibrate.threshold.deviations",
    "calibrate.threshold.per_hour": "calibrate.threshold.per_day (24 times the number)",
    "preprocess.silhouette.foreground": "preprocess.foreground",
    "preprocess.person_crop.foreground": "preprocess.foreground",
    "preprocess.person_crop.reach": "preprocess.person_crop.suppress_margin",
    "preprocess.foreground.warm_up": "preprocess.foreground.initial_frames",
    "train.warm_up": "train.warmup_epochs",
    "model.*.window": "model.*.window.frames (window: {frames: …})",
    "model.*.step": "model.*.window.frame_interval (seconds in place of frames)",
    "model.*.window.step": "model.*.window.frame_interval (seconds in place of frames)",
    "model.*.position": "model.*.window.position",
}
STAGES = {"novelty": "statistics"}


def new_key(key: str) -> str | None:
    """`is now calibrate.aggregate`, for a message; None if `key` is not the old name of a key."""
    for old, new in KEYS.items():
        if match := re.fullmatch(old.replace(".", r"\.").replace("*", r"(\w+)"), key):
            return f"is now {new.replace('*', match[1]) if match.groups() else new}"
    return None
