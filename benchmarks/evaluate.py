"""Time and memory of the stage `evaluate` on 10,000 and on 100,000 frames with pixel masks.

    python -m benchmarks.evaluate [--frames 10000 100000] [--rounds 1]

The clips are fabricated: 1,000 frames of 360x240 px, ten regions per frame, two branches in addition to
speed, every tenth frame anomalous with a mask. Compare the two sizes: time per frame should be the same, and
memory should hardly grow. Then the pixel AUC of PLAIN frames is computed twice, streamed and by scikit-learn,
which needs all cells in memory at once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from vad.branches.error_files import ErrorWriter
from vad.evaluation.pixel_metrics import PixelLevel
from vad.pipeline import params
from vad.pipeline.params import load
from vad.scoring.calibrate import calibrate
from vad.scoring.clip_errors import read_errors
from vad.scoring.params import CalibrateParams
from vad.scoring.scores import score_clip
from vad.store import cards, manifest, tables

ROOT = Path(__file__).parents[1]
LENGTH, HEIGHT, WIDTH, CELL, FPS, REGIONS = 1000, 240, 360, 8, 10.0, 10
SHAPE = (HEIGHT // CELL, WIDTH // CELL)
PLAIN = 2000  # frames of the pixel AUC by scikit-learn


def fabricate(folder: Path, frames: int) -> None:
    """Writes the inputs of the stage: test clips, with scores calibrated on a validation clip."""
    rng = np.random.default_rng(0)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "data").mkdir()
    (folder / "data/identity.csv").write_text("clip,track,person\n")
    clips, labels = [], {}
    for k in range(-1, frames // LENGTH):
        name = "val/0" if k < 0 else f"test/{k:04}"
        write_errors(folder / "data/errors" / name, rng)
        if k < 0:
            continue
        spans = [(t, t + 50) for t in range(100, LENGTH, 500)]
        labels[name] = spans
        more = {"camera": "a", "subject": "", "source": name, "first": 0, "end": LENGTH, "labelled": True}
        size = {"frames": LENGTH, "fps": FPS, "width": WIDTH, "height": HEIGHT, "hash": name}
        clips.append(manifest.Clip(clip=name, split="test", **more, **size))
        sparse(folder / "data/frames" / name, (LENGTH, HEIGHT, WIDTH), fps=FPS)
        source = np.arange(LENGTH)
        tables.write_table(
            folder / "data/frames" / name, pd.DataFrame({"source_frame": source, "seconds": source / FPS})
        )
        masks = sparse(folder / "data/masks" / name, (LENGTH, HEIGHT, WIDTH // 8), height=HEIGHT, width=WIDTH)
        for start, end in spans:
            masks[start:end, 100:140, 10:14] = 255
    manifest.write_manifest(folder / "data/manifest.csv", clips)
    manifest.write_labels(folder / "data/labels.csv", labels)
    normal = read_errors(folder / "data/errors", {"val/0": "a"})
    raw = params.read(ROOT / "params.yaml")
    calibration = calibrate(normal, load("calibrate", CalibrateParams, raw))
    calibration.save(folder / "models/calibration.json")
    for clip in clips:
        stems = [folder / "data" / part / clip.clip for part in ("scores", "errors", "frames")]
        score_clip(*stems, clip.clip, clip.camera, calibration)


def write_errors(stem: Path, rng: np.random.Generator) -> None:
    """Writes the errors of a clip: regions with errors of two branches, and maps of speed."""
    n = LENGTH * REGIONS
    x0, y0 = rng.integers(0, WIDTH - 30, n), rng.integers(0, HEIGHT - 50, n)
    table = {"frame": np.repeat(np.arange(LENGTH), REGIONS), "region": np.arange(n), "track": -1}
    table |= {"x0": x0, "y0": y0, "x1": x0 + 30, "y1": y0 + 50}
    card = {"frames": LENGTH, "stride": 1, "frame": [HEIGHT, WIDTH], "fps": FPS, "cell": CELL, "lookahead": 0}
    with ErrorWriter(stem, pd.DataFrame(table).astype(np.int32), card) as out:
        for branch in ("appearance", "flow"):
            out.add_column(branch, rng.gamma(2, 1, n))
        out.declare("speed", learned=False)
        with out.add_map("speed") as writer:
            for _ in range(LENGTH):
                writer.append(rng.gamma(2, 1, SHAPE).astype(np.float16))


def sparse(stem: Path, shape: tuple[int, ...], **card: object) -> np.ndarray:
    """Creates an array of zeros as a sparse file, with its card; returns it as a writable memory map."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(Path(f"{stem}.npy"), "w+", np.uint8, shape)
    cards.write_json(Path(f"{stem}.json"), {"shape": list(shape), "dtype": "uint8", "hash": "", **card})
    return array


def run(folder: Path) -> tuple[float, float]:
    """Runs the stage as a process; returns its seconds and its peak memory in MB, without mapped files."""
    start, peak = time.perf_counter(), 0
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-m", "stages.evaluate"], cwd=folder, env=env)
    while child.poll() is None:
        with suppress(OSError, IndexError):  # the process may have ended since
            status = Path(f"/proc/{child.pid}/status").read_text()
            peak = max(peak, int(status.partition("RssAnon:")[2].split()[0]))
        time.sleep(0.05)
    if child.returncode:
        sys.exit(f"the stage failed in {folder}")
    return time.perf_counter() - start, peak / 1024


def pixel_auc() -> None:
    """Prints time and value of the pixel AUC of the same maps, streamed and by scikit-learn."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(PLAIN, *SHAPE)).astype(np.float16)
    anomalous = np.where(scores > 1, rng.integers(0, 65, scores.shape), 0)
    total = np.full(SHAPE, CELL * CELL)
    start = time.perf_counter()
    streamed = PixelLevel(95.0)
    for frame_scores, count in zip(scores, anomalous, strict=True):
        streamed.add(frame_scores, count, total)
    ours = streamed.result(0.0)["auc"]
    middle = time.perf_counter()
    flat, weight = np.tile(scores.ravel(), 2), np.r_[anomalous.ravel(), (CELL * CELL - anomalous).ravel()]
    truth = np.repeat([True, False], scores.size)
    plain = roc_auc_score(truth, flat, sample_weight=weight)
    end = time.perf_counter()
    print(
        f"pixel AUC of {PLAIN} frames: streamed {middle - start:.2f} s ({ours:.6f}), "
        f"scikit-learn on all cells {end - middle:.2f} s ({plain:.6f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    for frames in args.frames:
        with tempfile.TemporaryDirectory() as temporary:
            fabricate(Path(temporary), frames)
            rounds = [run(Path(temporary)) for _ in range(args.rounds)]
        seconds, memory = (median(values) for values in zip(*rounds, strict=True))
        print(
            f"{frames} frames: {seconds:.0f} s, {1000 * seconds / frames:.2f} s per 1000 frames, "
            f"at most {memory:.0f} MB",
            flush=True,
        )
    pixel_auc()


if __name__ == "__main__":
    main()
