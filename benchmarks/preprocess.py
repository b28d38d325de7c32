"""Preprocessing and optical flow, per frame, compared with bare calls of OpenCV or onnxruntime.

    python -m benchmarks.preprocess [--rounds 5] [--frames 60]

"Ours" is the work function of the stage: it reads stored frames, and writes regions, silhouettes or flow.
"Alone" is a loop in memory over the library calls that the mode consists of, with the same parameters. Both
use a single thread and alternate, so read the ratios: absolute figures depend on the machine. Footage is
`samples/one-by-one-person-detection.mp4`, weights are `weights/yolox_nano.onnx`, both under VAD_DATASETS
(default ../shared/data). Parameters are those of params.yaml, for background subtraction the defaults.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pandas as pd

from vad.detection.detector import Detector
from vad.detection.foreground_params import SILHOUETTES, ForegroundParams, ForegroundSettings
from vad.flow.compute import compute_flow
from vad.flow.dis import PRESETS, Dis
from vad.footage.extract import ExtractParams, extract
from vad.pipeline import params
from vad.regions.compute import compute_regions
from vad.regions.person_crop import PersonCrop
from vad.regions.silhouette import Silhouette
from vad.store import arrays, tables

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
CLIP = DATA / "samples" / "one-by-one-person-detection.mp4"
WEIGHTS = DATA / "weights" / "yolox_nano.onnx"
SHA256 = "e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd"
FPS = 12.0
SIZES = ((360, 240), (768, 432))  # width, height
RAW = params.read(Path(__file__).parents[1] / "params.yaml")


def subtract(frames: np.ndarray, how: ForegroundSettings) -> None:
    """Background model, morphology and connected components."""
    make = {"mog2": cv2.createBackgroundSubtractorMOG2, "knn": cv2.createBackgroundSubtractorKNN}[how.method]
    history = how.history_frames(FPS)
    model = make(history, how.threshold, detectShadows=how.shadows)
    initial = np.linspace(0, min(history, len(frames)) - 1, how.initial_frames).round().astype(int)
    for frame in frames[np.unique(initial)]:  # the initial background model, as in the stage
        model.apply(frame)
    for frame in frames:
        mask = model.apply(frame)
        for step, diameter in ((cv2.MORPH_OPEN, how.open), (cv2.MORPH_CLOSE, how.close)):
            if diameter > 1:
                ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
                mask = cv2.morphologyEx(mask, step, ellipse)
        cv2.connectedComponentsWithStats(mask)


def flow(frames: np.ndarray, how: Dis.Params) -> None:
    height = min(how.height, frames.shape[1])
    width = round(frames.shape[2] * height / frames.shape[1])
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    method = cv2.DISOpticalFlow_create(PRESETS[how.preset])
    for before, now in pairwise(small):
        method.calc(now, before, None)


def detect(frames: np.ndarray, detector: Detector) -> None:
    session, shape = detector._session, (1, 3, detector.height, detector.width)
    ready = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    for _ in frames:
        session.run(None, {session.get_inputs()[0].name: ready})


def change(frames: np.ndarray) -> None:
    """Smoothed difference to the previous frame, and its connected components."""
    before = cv2.GaussianBlur(frames[0], (5, 5), 0)
    for frame in frames:
        now = cv2.GaussianBlur(frame, (5, 5), 0)
        mask = cv2.threshold(cv2.absdiff(now, before), 8, 255, cv2.THRESH_BINARY)[1]
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((10, 1), np.uint8))
        cv2.connectedComponentsWithStats(mask)
        before = now


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rows(folder: Path, frames: np.ndarray) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """The pairs (ours, alone) to compare, by name."""
    stem, moved, out = folder / "frames", folder / "flow", folder / "out"
    arrays.write_array(stem, frames, fps=FPS)
    numbers = np.arange(len(frames))
    tables.write_table(stem, pd.DataFrame({"source_frame": numbers, "seconds": numbers / FPS}))
    silhouette = params.load("preprocess.silhouette", Silhouette.Params, RAW)
    crops = params.load("preprocess.person_crop", PersonCrop.Params, RAW)
    dis = Dis(params.load("flow.dis", Dis.Params, RAW))
    compute_flow(moved, stem, dis, threads=1)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
    for method in ("mog2", "knn"):
        for shadows in (False, True):
            foreground = ForegroundParams(method=method, shadows=shadows)
            mode = Silhouette(silhouette, foreground)
            pairs[f"silhouette, {method}{', shadows' * shadows}"] = (
                lambda mode=mode: compute_regions(out, stem, moved, mode, threads=1),
                lambda foreground=foreground: subtract(frames, foreground.resolve(SILHOUETTES)),
            )
    motion = crops.model_copy(
        update={
            "detectors": ["motion"],
            "motion": crops.motion.model_copy(update={"source": "difference"}),
        }
    )
    moving = PersonCrop(motion, ForegroundParams())
    pairs["person_crop, motion (difference)"] = (
        lambda: compute_regions(out, stem, moved, moving, threads=1),
        lambda: change(frames),
    )
    onnx = crops.onnx.model_copy(update={"weights": str(WEIGHTS), "sha256": SHA256, "every_n": 1})
    detector = Detector(WEIGHTS, onnx, threads=1)
    detected = PersonCrop(crops.model_copy(update={"detectors": ["onnx"], "onnx": onnx}), ForegroundParams())
    detected.prepare(folder / "cache")
    pairs["person_crop, onnx"] = (
        lambda: compute_regions(out, stem, moved, detected, threads=1),
        lambda: detect(frames, detector),
    )
    pairs[f"flow, dis {dis.params.preset}"] = (
        lambda: compute_flow(out, stem, dis, threads=1),
        lambda: flow(frames, dis.params),
    )
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each row")
    parser.add_argument("--frames", type=int, default=60, help="frames of each round")
    args = parser.parse_args()
    if not (WEIGHTS.is_file() and CLIP.is_file()):
        print(
            f"skipped: {WEIGHTS} or {CLIP} not found; set VAD_DATASETS to the folder with samples/, weights/"
        )
        return
    cv2.setNumThreads(1)
    start = 260  # from here on a person is in view
    with tempfile.TemporaryDirectory(prefix="vad-bench-") as name:
        folder = Path(name)
        extract(folder / "video", CLIP, start, start + args.frames, ExtractParams(), threads=2)
        filmed, _ = arrays.open_array(folder / "video")
        print(f"{'ms per frame':<46}{'ours':>9}{'alone':>9}{'ratio':>8}")
        for size in SIZES:
            frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in filmed])
            for row, (ours, alone) in rows(folder, frames).items():
                pairs = [(seconds(ours), seconds(alone)) for _ in range(args.rounds + 1)][1:]
                a, b = (1e3 * median(side) / len(frames) for side in zip(*pairs, strict=True))
                ratio = median(x / y for x, y in pairs)
                print(f"{f'{size[0]}x{size[1]} {row}':<46}{a:>9.2f}{b:>9.2f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
