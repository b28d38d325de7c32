"""Speed of a session: frames per second, and milliseconds per frame and processor.

    python -m benchmarks.live [--rounds 3] [--frames 150] [--recipes weight_free objects]
    python -m benchmarks.live --projects DIR DIR

The models are deployed ones, of recipes trained on the sample (some minutes) or of --projects, folders in
which `dvc repro export` has run. The speed depends on the shape of a model and on the footage, not on what it
has learned. Footage: the sample (176x132), and under VAD_DATASETS (default ../shared/data) Ped2 (360x240),
samples/vtest-480x360.avi and samples/one-by-one-person-detection.mp4 (768x432); no frame is reduced.

A session is measured after its warm-up, on one core and on two, frames decoded as part of it. "Bare" is a
loop over what cannot be spared, with the same parameters, on one core: decoding, DIS, background subtraction
with its shadows and cleaning, and the detector's network. They alternate, so read the ratios: absolute
figures depend on the machine. On one core the time of the processor counts, which other programs disturb
less, on two the time by the clock.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks._deployed import CORES, DATA, DEPLOYED, FOOTAGE, WEIGHTS, child, project_of
from vad.detection.background import foreground
from vad.detection.detector import Detector
from vad.flow.dis import PRESETS, Dis
from vad.footage.decode import Convert, Decoded, decode
from vad.live import Session, load_deployed
from vad.live.session import Scoring
from vad.stream import Processor, results

PROCESSORS = {  # attributes of `Scoring` and its `Measuring`
    "_flow": "flow",
    "_regions": "regions",
    "_cutter": "windows",
    "measurement": "errors",
    "_scorer": "cells, calibration, smoothing",
    "_events": "events",
}
RATE = 25.0  # frames per second of a session


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
            start = time.process_time()
            out = method(*args)
            if isinstance(out, Iterator):  # its work is done when it is read
                out = list(out)
            self.seconds += time.process_time() - start
            return out

        return call

    def process(self, item: Any) -> list[Any]:
        return self.__getattr__("process")(item)


def session_speed(project: Path, source: Path, frames: int, cores: int) -> dict[str, Any]:
    """Frames per second of a session, and on one core milliseconds per frame and processor."""
    session = Session(load_deployed(project / DEPLOYED), fps=RATE, concurrent=cores > 1)
    footage = looped(source, cores)
    for decoded in islice(footage, session.warm_up + 50):
        session.process(decoded)
    scoring = session._scoring
    assert isinstance(scoring, Scoring)
    timers = {}
    for name, label in PROCESSORS.items():
        owner = scoring if hasattr(scoring, name) else scoring._measuring
        timers[label] = Timed(getattr(owner, name))
        setattr(owner, name, timers[label])
    clock = time.process_time if cores == 1 else time.perf_counter
    start, decoding = clock(), 0.0
    for _ in range(frames):
        begin = time.process_time()
        decoded = next(footage)
        decoding += time.process_time() - begin
        session.process(decoded)
    seconds = clock() - start
    parts = {"decoding": decoding} | {label: timer.seconds for label, timer in timers.items()}
    return {"fps": frames / seconds, "ms": {k: 1000 * v / frames for k, v in parts.items()}}


def bare_speed(project: Path, source: Path, frames: int) -> dict[str, Any]:
    """Frames per second of the library calls alone."""
    cv2.setNumThreads(1)
    model = load_deployed(project / DEPLOYED)
    footage = results(Convert("gray", None), looped(source, 1))
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
        marks = [time.process_time()]
        frame = next(footage)
        marks.append(time.process_time())
        small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
        flow.calc(small, before, None)
        marks.append(time.process_time())
        background.process(frame)
        marks.append(time.process_time())
        if detector and t % every == 0:
            detector._run(picture)
        marks.append(time.process_time())
        before = small
        for name, a, b in zip(("decoding", "flow", "background", "detector"), marks, marks[1:], strict=False):
            seconds[name] += b - a
    total = sum(seconds.values())
    return {"fps": frames / total, "ms": {name: 1000 * s / frames for name, s in seconds.items()}}


def measured(mode: str, project: Path, source: Path, frames: int, cores: int) -> dict[str, Any]:
    """Measures in a process of its own."""
    arguments = [mode, str(project), str(source), str(frames), str(cores)]
    return json.loads(child(["benchmarks.live", "--child", *arguments], cores))


def compare(project: Path, title: str, footage: dict[str, Path], rounds: int, frames: int) -> None:
    """Prints a table for a recipe."""
    print(f"\n{title}: frames per second, median of {rounds} rounds of {frames} frames")
    print(f"{'footage':20} {'one core':>9} {'bare':>7} {'ratio':>6} {'two cores':>10}")
    details = []
    for name, source in footage.items():
        runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _ in range(rounds):
            runs["one"].append(measured("session", project, source, frames, 1))
            runs["bare"].append(measured("bare", project, source, frames, 1))
            if len(CORES) > 1:
                runs["two"].append(measured("session", project, source, frames, 2))
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--recipes", nargs="+", default=["weight_free", "objects"])
    parser.add_argument("--footage", nargs="+", choices=FOOTAGE, default=[*FOOTAGE], metavar="NAME")
    parser.add_argument("--projects", nargs="+", type=Path, help="trained before, instead of training here")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        mode, project, source, frames, cores = args.child
        speed = (
            bare_speed(Path(project), Path(source), int(frames))
            if mode == "bare"
            else session_speed(Path(project), Path(source), int(frames), int(cores))
        )
        print(json.dumps(speed))
        return
    footage = {name: FOOTAGE[name] for name in args.footage if FOOTAGE[name].exists()}
    recipes = [r for r in args.recipes if r != "objects" or WEIGHTS.is_file()]
    for what in sorted({*args.footage} - {*footage}) + sorted({*args.recipes} - {*recipes}):
        print(f"{what}: skipped, its files are not under VAD_DATASETS ({DATA})")
    named = [(str(path), path) for path in args.projects] if args.projects else [(r, None) for r in recipes]
    for name, given in named:
        with project_of(given, name) as project:
            compare(project, name, footage, args.rounds, args.frames)


if __name__ == "__main__":
    main()
