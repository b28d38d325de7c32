"""Detector.detect compared with bare onnxruntime on prepared input.

    python -m benchmarks.detector [--frames 30]

Both alternate, frame by frame, in the same session, so that other load on the machine affects both equally:
read the ratios, as absolute figures depend on the machine. Detector.detect letterboxes, runs the network,
decodes, suppresses duplicates and keeps the class probabilities. Weights are `weights/yolox_nano.onnx`,
footage is `samples/one-by-one-person-detection.mp4`, both under VAD_DATASETS (default ../shared/data).
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from vad.detection.detector import Detector
from vad.detection.detector_params import DetectorParams
from vad.footage.probe import probe

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
WEIGHTS = DATA / "weights" / "yolox_nano.onnx"
CLIP = DATA / "samples" / "one-by-one-person-detection.mp4"
SIZES = ((360, 240), (768, 432))  # width, height
PARAMS = DetectorParams(batch_size=4)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(detector: Detector, frames: list[np.ndarray]) -> tuple[float, float, float]:
    """Medians over frames: seconds of detect, seconds of onnxruntime, and their ratio."""
    session = detector._session
    name = session.get_inputs()[0].name
    ready = np.random.default_rng(0).uniform(0, 255, (1, 3, detector.height, detector.width))
    feed = {name: ready.astype(np.float32)}
    pairs = []
    for i, frame in enumerate(frames):
        works = [lambda frame=frame: detector.detect([frame]), lambda: session.run(None, feed)]
        if i % 2:  # so that no side always runs second
            alone, ours = seconds(works[1]), seconds(works[0])
        else:
            ours, alone = seconds(works[0]), seconds(works[1])
        pairs.append((ours, alone, ours / alone))
    return tuple(map(median, zip(*pairs[4:], strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Detector.detect against onnxruntime alone")
    parser.add_argument("--frames", type=int, default=30, help="measured frames of each row")
    args = parser.parse_args()
    if not (WEIGHTS.is_file() and CLIP.is_file()):
        print(
            f"skipped: {WEIGHTS} or {CLIP} not found; set VAD_DATASETS to the folder with weights/, samples/"
        )
        return
    step = probe(CLIP).frames // (args.frames + 4)
    capture = cv2.VideoCapture(str(CLIP))
    shots = []
    for i in range((args.frames + 4) * step):
        capture.grab()
        if i % step == 0:
            shots.append(capture.retrieve()[1][..., ::-1])
    print(f"{'ms per frame':<34}{'detect':>9}{'alone':>9}{'ratio':>8}")
    for threads in (2, 1):
        cv2.setNumThreads(threads)
        detector = Detector(WEIGHTS, PARAMS, threads=threads)
        for width, height in SIZES:
            rgb = [cv2.resize(shot, (width, height), interpolation=cv2.INTER_AREA) for shot in shots]
            gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in rgb]
            for color, frames in (("gray", gray), ("rgb", rgb)):
                ours, alone, ratio = compare(detector, frames)
                row = f"{width}x{height} {color}, {threads} thread{'s' * (threads > 1)}"
                print(f"{row:<34}{1e3 * ours:>9.1f}{1e3 * alone:>9.1f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
