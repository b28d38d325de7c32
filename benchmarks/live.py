"""Live use: frames per second, milliseconds per frame and processor, and memory over an hour.

    python -m benchmarks.live [--rounds 3] [--frames 400] [--recipes weight_free objects]
    python -m benchmarks.live --hour

For each recipe a model is trained on the sample (some minutes); the speed depends on its shape and on the
footage, not on what it has learned. Footage: the sample (176x132), and under VAD_DATASETS (default
../shared/data) Ped2 (360x240), samples/vtest-480x360.avi and samples/one-by-one-person-detection.mp4
(768x432).

A session is measured after its warm-up, on one core and on two, frames decoded as part of it. "Bare" is a
loop over the library calls for decoding, optical flow, background subtraction and detection, with the same
parameters, on one core. They alternate, so read the ratios: absolute figures depend on the machine.

--hour feeds a session with the sample in a loop, 90,000 frames, an hour at 25 frames per second, and prints
the memory of the process.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vad.detection.detector import Detector
from vad.footage.decode import Convert, Decoded, decode
from vad.live import Session, TrainedModel
from vad.live.session import Scoring
from vad.stream import Processor, results
from vad.windows.spec import WindowSpec  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VAD_DATASETS", ROOT.parent / "shared" / "data"))
FOOTAGE = {
    "sample 176x132": ROOT / "data/sample/test/hall/run.mp4",
    "Ped2 360x240": DATA / "ucsd_ped2/Test/Test001",
    "vtest 480x360": DATA / "samples/vtest-480x360.avi",
    "one-by-one 768x432": DATA / "samples/one-by-one-person-detection.mp4",
}
WEIGHTS = DATA / "weights/yolox_nano.onnx"
STAGES = ["ingest", "extract", "flow", "preprocess", "statistics", "resize", "train", "measure", "calibrate"]
PROCESSORS = {  # attributes of `Scoring`
    "_flow": "flow",
    "_regions": "regions",
    "_cutter": "windows",
    "_measurement": "errors",
    "_scorer": "cells, calibration, smoothing",
    "_events": "events",
}
HOUR = 90_000  # frames
RUN = """
import importlib, sys
from vad.pipeline import stage
for name in sys.argv[1:]:
    importlib.import_module(f"stages.{name}").main(stage.Run(name))
"""


def train(folder: Path, recipe: str) -> Path:
    """Trains a recipe on the sample in a clone of the project; returns its root folder."""
    project = folder / recipe
    subprocess.run(["git", "clone", "-q", ROOT, project], check=True)
    options = ["--weights", str(WEIGHTS)] if recipe == "objects" else []
    write = [sys.executable, "-m", "vad.recipe", "sample", recipe, *options, "--write"]
    subprocess.run(write, cwd=project, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", RUN, *STAGES], cwd=project, check=True, stderr=subprocess.DEVNULL)
    return project


def looped(source: Path, threads: int, fps: float = 25.0) -> Iterator[Decoded]:
    """The frames of a source again and again, decoded each time, with times that go on."""
    count = 0
    while True:
        for decoded in decode(source, "gray", threads, 0, None)[1]:
            yield decoded._replace(number=count, seconds=count / fps)
            count += 1


class Timed(Processor[Any, Any]):
    """Adds up the time of a processor."""

    def __init__(self, processor: Processor[Any, Any]):
        self.processor, self.seconds = processor, 0.0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.processor, name)
        if not callable(method):
            return method

        def call(*args: Any) -> Any:
            start = time.perf_counter()
            out = method(*args)
            self.seconds += time.perf_counter() - start
            return out

        return call

    def process(self, item: Any) -> list[Any]:
        return self.__getattr__("process")(item)


def session_speed(project: str, source: str, frames: int, cores: int) -> dict[str, Any]:
    """Frames per second of a session, and milliseconds per frame and processor (of the caller's thread)."""
    os.chdir(project)
    session = Session(TrainedModel.load(), fps=25.0, concurrent=cores > 1)
    footage = looped(Path(source), cores)
    for decoded in islice(footage, session.warm_up + 50):
        session.process(decoded)
    scoring = session._scoring
    assert isinstance(scoring, Scoring)
    timers = {label: Timed(getattr(scoring, name)) for name, label in PROCESSORS.items()}
    for name, label in PROCESSORS.items():
        setattr(scoring, name, timers[label])
    start, decoding, given = time.perf_counter(), 0.0, 0
    for _ in range(frames):
        begin = time.perf_counter()
        decoded = next(footage)
        decoding += time.perf_counter() - begin
        given += len(session.process(decoded))
    seconds = time.perf_counter() - start
    parts = {"decoding": decoding} | {label: timer.seconds for label, timer in timers.items()}
    return {"fps": frames / seconds, "ms": {k: 1000 * v / frames for k, v in parts.items()}}


def bare_speed(project: str, source: str, frames: int) -> dict[str, Any]:
    """Frames per second of the library calls alone."""
    os.chdir(project)
    cv2.setNumThreads(1)
    model = TrainedModel.load()
    footage = results(Convert("gray", None), looped(Path(source), 1))
    first = next(iter(footage)).pixels
    flow = getattr(model.flow.processor(*first.shape[:2]), "dis", cv2.DISOpticalFlow.create(2))
    background = cv2.createBackgroundSubtractorMOG2(200, 10, detectShadows=False)
    weights = getattr(model.mode, "_weights", None)
    detector = Detector(weights, model.mode.params.onnx, threads=1) if weights else None
    picture = np.zeros((1, 3, detector.height, detector.width), np.float32) if detector else None
    every = model.mode.params.onnx.every_n
    height = min(240, first.shape[0])
    size = round(first.shape[1] * height / first.shape[0]), height
    before = cv2.resize(first, size, interpolation=cv2.INTER_AREA)
    for frame in islice(footage, 50):
        background.apply(frame.pixels)
    seconds: dict[str, float] = defaultdict(float)
    for t in range(frames):
        marks = [time.perf_counter()]
        pixels = next(footage).pixels
        marks.append(time.perf_counter())
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        flow.calc(small, before, None)
        marks.append(time.perf_counter())
        background.apply(pixels)
        marks.append(time.perf_counter())
        if detector and t % every == 0:
            detector._run(picture)
        marks.append(time.perf_counter())
        before = small
        for name, a, b in zip(("decoding", "flow", "background", "detector"), marks, marks[1:], strict=False):
            seconds[name] += b - a
    total = sum(seconds.values())
    return {"fps": frames / total, "ms": {name: 1000 * s / frames for name, s in seconds.items()}}
