"""Live use: frames per second, milliseconds per frame and processor, and memory over an hour.

    python -m benchmarks.live [--rounds 3] [--frames 400] [--recipes weight_free objects]
    python -m benchmarks.live --hour [--recipes weight_free]

A model is trained on the sample for each recipe (a minute each); the speed depends on its shape and on the
footage, not on what it has learned. Footage: the sample (176x132), and under VAD_DATASETS (default
../shared/data) Ped2 (360x240), samples/vtest-480x360.avi and samples/one-by-one-person-detection.mp4
(768x432). "Bare" is a loop over the library calls for decoding, optical flow, background subtraction and
detection alone, with the same parameters. Session and bare loop alternate in one process, on one core and on
two; read the ratios, since absolute figures depend on the machine. The warm-up is over before time is taken.

--hour feeds a looped clip for 90,000 frames, an hour at 25 frames per second, and prints the memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VAD_DATASETS", ROOT.parent / "shared" / "data"))
FOOTAGE = {
    "sample 176x132": ROOT / "data/sample/test",
    "Ped2 360x240": DATA / "ucsd_ped2/Test/Test001",
    "vtest 480x360": DATA / "samples/vtest-480x360.avi",
    "one-by-one 768x432": DATA / "samples/one-by-one-person-detection.mp4",
}
WEIGHTS = DATA / "weights/yolox_nano.onnx"
STAGES = "ingest extract flow preprocess statistics resize train measure calibrate".split()
HOUR = 90_000  # frames
"""Runs stages in one process."""
RUN = """
import importlib, sys
from vad.pipeline import stage
for name in sys.argv[1:]:
    run = stage.Run(name)
    importlib.import_module(f"stages.{name}").main(run)
"""


def train(folder: Path, recipe: str) -> Path:
    """Trains a recipe on the sample in a copy of the project; returns its root folder."""
    project = folder / recipe
    subprocess.run(["git", "clone", "-q", ROOT, project], check=True)
    options = ["--weights", str(WEIGHTS)] if recipe == "objects" else []
    write = [sys.executable, "-m", "vad.recipe", "sample", recipe, *options, "--write"]
    subprocess.run(write, cwd=project, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", RUN, *STAGES], cwd=project, check=True)
    return project
