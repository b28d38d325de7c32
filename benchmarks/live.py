"""Live use: frames per second, milliseconds per frame and processor, and memory over an hour.

    python -m benchmarks.live [--rounds 3] [--frames 150] [--recipes weight_free objects]
    python -m benchmarks.live --hour

For each recipe a model is trained on the sample (some minutes); the speed depends on its shape and on the
footage, not on what it has learned. Footage: the sample (176x132), and under VAD_DATASETS (default
../shared/data) Ped2 (360x240), samples/vtest-480x360.avi and samples/one-by-one-person-detection.mp4
(768x432).

A session is measured after its warm-up, on one core and on two, frames decoded as part of it. "Bare" is a
loop over what cannot be spared, with the same parameters, on one core: decoding, DIS, background subtraction
with its shadows and cleaning, and the detector's network. They alternate, so read the ratios: absolute
figures depend on the machine.

--hour feeds a session with the sample in a loop, 90,000 frames, an hour at 25 frames per second, and prints
the memory of the process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from vad.detection.background import foreground
from vad.detection.detector import Detector
from vad.flow.dis import PRESETS, Dis
from vad.footage.decode import Convert, Decoded, decode
from vad.live import Session, TrainedModel
from vad.live.session import Scoring
from vad.stream import Processor, results

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VAD_DATASETS", ROOT.parent / "shared" / "data"))
FOOTAGE = {
    "sample 176x132": ROOT / "data/sample/test/hall/run.mp4",
    "Ped2 360x240": DATA / "ucsd_ped2/Test/Test001",
    "vtest 480x360": DATA / "samples/vtest-480x360.avi",
    "one-by-one 768x432": DATA / "samples/one-by-one-person-detection.mp4",
}
WEIGHTS = DATA / "weights/yolox_nano.onnx"
STAGES = ["ingest", "extract", "flow", "preprocess", "resize", "train", "statistics", "measure", "calibrate"]
PROCESSORS = {  # attributes of `Scoring` and its `Measuring`
    "_flow": "flow",
    "_regions": "regions",
    "_cutter": "windows",
    "measurement": "errors",
    "_scorer": "cells, calibration, smoothing",
    "_events": "events",
}
HOUR = 90_000  # frames
RATE = 25.0  # frames per second of a session
# runs stages in one process
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
    (project / "dvc.lock").unlink()  # of other parameters, which a session would refuse
    options = ["--weights", str(WEIGHTS)] if recipe == "objects" else []
    write = [sys.executable, "-m", "vad.recipe", "sample", recipe, *options, "--write"]
    subprocess.run(write, cwd=project, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", RUN, *STAGES], cwd=project, check=True, stderr=subprocess.DEVNULL)
    return project


def looped(source: Path, threads: int, fps: float = RATE) -> Iterator[Decoded]:
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
            if isinstance(out, Iterator):  # its work is done when it is read
                out = list(out)
            self.seconds += time.perf_counter() - start
            return out

        return call

    def process(self, item: Any) -> list[Any]:
        return self.__getattr__("process")(item)


def session_speed(project: str, source: str, frames: int, cores: int) -> dict[str, Any]:
    """Frames per second of a session, and milliseconds per frame and processor (of the caller's thread)."""
    os.chdir(project)
    session = Session(TrainedModel.load(), fps=RATE, concurrent=cores > 1)
    footage = looped(Path(source), cores)
    for decoded in islice(footage, session.warm_up + 50):
        session.process(decoded)
    scoring = session._scoring
    assert isinstance(scoring, Scoring)
    timers = {}
    for name, label in PROCESSORS.items():
        owner = scoring if hasattr(scoring, name) else scoring._measuring
        timers[label] = Timed(getattr(owner, name))
        setattr(owner, name, timers[label])
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
    assert isinstance(model.flow, Dis)
    flow = cv2.DISOpticalFlow.create(PRESETS[model.flow.params.preset])
    assert model.mode.foreground is not None
    background = foreground(model.mode.foreground, RATE)
    weights = getattr(model.mode, "_weights", None)
    detector = Detector(weights, model.mode.params.onnx, threads=1) if weights else None
    picture = np.zeros((1, 3, detector.height, detector.width), np.float32) if detector else None
    every = model.mode.params.onnx.every_n
    height = min(model.flow.params.height, first.shape[0])
    size = round(first.shape[1] * height / first.shape[0]), height
    before = cv2.resize(first, size, interpolation=cv2.INTER_AREA)
    for frame in islice(footage, model.mode.warm_up(RATE) + 1):
        background.process(frame)
    seconds: dict[str, float] = defaultdict(float)
    for t in range(frames):
        marks = [time.perf_counter()]
        frame = next(footage)
        marks.append(time.perf_counter())
        small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
        flow.calc(small, before, None)
        marks.append(time.perf_counter())
        background.process(frame)
        marks.append(time.perf_counter())
        if detector and t % every == 0:
            detector._run(picture)
        marks.append(time.perf_counter())
        before = small
        for name, a, b in zip(("decoding", "flow", "background", "detector"), marks, marks[1:], strict=False):
            seconds[name] += b - a
    total = sum(seconds.values())
    return {"fps": frames / total, "ms": {name: 1000 * s / frames for name, s in seconds.items()}}


def child(mode: str, project: Path, source: Path, frames: int, cores: int) -> dict[str, Any]:
    """Measures in a process of its own that may use only as many cores."""
    command = [sys.executable, "-m", "benchmarks.live", "--child", mode, str(project), str(source)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, CORES[:cores])), *command, str(frames), str(cores)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def compare(project: Path, recipe: str, footage: dict[str, Path], rounds: int, frames: int) -> None:
    """Prints a table for a recipe."""
    print(f"\n{recipe}: frames per second, median of {rounds} rounds of {frames} frames")
    print(f"{'footage':20} {'one core':>9} {'bare':>7} {'ratio':>6} {'two cores':>10}")
    details = []
    for name, source in footage.items():
        runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _ in range(rounds):
            runs["one"].append(child("session", project, source, frames, 1))
            runs["bare"].append(child("bare", project, source, frames, 1))
            if len(CORES) > 1:
                runs["two"].append(child("session", project, source, frames, 2))
        fps = {key: median(run["fps"] for run in several) for key, several in runs.items()}
        two = f"{fps['two']:10.1f}" if "two" in fps else f"{'-':>10}"
        print(
            f"{name:20} {fps['one']:9.1f} {fps['bare']:7.1f} {fps['one'] / fps['bare']:6.2f} {two}",
            flush=True,
        )
        for key in ("one", "bare"):
            ms = {part: median(run["ms"][part] for run in runs[key]) for part in runs[key][0]["ms"]}
            parts = ", ".join(f"{part} {value:.2f}" for part, value in ms.items())
            details.append(f"{name:20} {'session' if key == 'one' else 'bare':8} {parts}")
    print("milliseconds per frame on one core")
    print("\n".join(details), flush=True)


def hour(project: Path, source: Path) -> None:
    """Prints the memory of a session during an hour of footage."""
    os.chdir(project)
    session, start, events = Session(TrainedModel.load(), fps=RATE, live=True), time.perf_counter(), 0
    for number, decoded in enumerate(islice(looped(source, 1), HOUR), 1):
        for result in session.process(decoded):
            events += sum(update.kind == "begin" for update in result.events)
        if number in (1000, HOUR // 60) or number % (HOUR // 6) == 0:
            with open("/proc/self/statm") as file:
                megabytes = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            rate = number / (time.perf_counter() - start)
            print(f"{number:6} frames, {rate:5.1f} frames/s, {events} events, {megabytes:.0f} MB", flush=True)


CORES = sorted(os.sched_getaffinity(0))[:2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--recipes", nargs="+", default=["weight_free", "objects"])
    parser.add_argument("--projects", nargs="+", type=Path, help="trained before, instead of training here")
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        mode, project, source, frames, cores = args.child
        speed = (
            bare_speed(project, source, int(frames))
            if mode == "bare"
            else session_speed(project, source, int(frames), int(cores))
        )
        print(json.dumps(speed))
        return
    footage = {name: path for name, path in FOOTAGE.items() if path.exists()}
    recipes = [r for r in args.recipes if r != "objects" or WEIGHTS.is_file()]
    for what in sorted({*FOOTAGE} - {*footage}) + sorted({*args.recipes} - {*recipes}):
        print(f"{what}: skipped, its files are not under VAD_DATASETS ({DATA})")
    with tempfile.TemporaryDirectory() as folder:
        projects = args.projects or [train(Path(folder), recipe) for recipe in recipes]
        for recipe, project in zip(recipes, projects, strict=True):
            if args.hour:
                print(f"{recipe}: memory over an hour of 25 frames per second", flush=True)
                hour(project, FOOTAGE["sample 176x132"])
            else:
                compare(project, recipe, footage, args.rounds, args.frames)


if __name__ == "__main__":
    main()
