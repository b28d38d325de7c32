"""Time and memory of every stage on many short clips with the recipe `weight_free`; time of a no-op.

    python -m benchmarks.many_clips [--clips 1000] [--frames 100] [--folder FOLDER]

The footage is drawn here: boxes that walk through a textured scene of 160x120 pixels, filmed by four
cameras; in every second test clip one of them runs for a while, which is labelled. Half of the clips are for
training, a tenth for validation, the rest for testing. Every stage runs through DVC, as `dvc repro` runs it,
in a copy of the project in a temporary folder. Compare two numbers of clips: the seconds per clip should be
the same.

seconds  of the stage itself; `DVC` is what DVC takes besides, to hash and cache inputs and outputs
MB       the most that the stage and its processes hold at once, without mapped files
"""

import argparse
import csv
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import joblib
import numpy as np
import psutil

from tests.project import ROOT, Project, copy
from vad.footage.encode import encode
from vad.pipeline import params
from vad.recipe import overrides

HEIGHT, WIDTH, FPS, CAMERAS, WALKERS = 120, 160, 10.0, 4, 4
SHARES = {"train": 0.5, "val": 0.1, "test": 0.4}  # of the clips
INTERVAL = 0.1  # seconds between two looks at the memory


def draw(seed: int, camera: int, frames: int, runs: tuple[int, int] | None) -> Iterator[np.ndarray]:
    """Yields the frames of a clip, uint8 [HEIGHT, WIDTH].

    Args:
        seed: of the walkers and the noise.
        camera: number of the camera, which determines the background.
        frames: number of frames.
        runs: the frames [start, end) in which one of the walkers is much faster; None without.
    """
    scene = (
        cv2.GaussianBlur(np.random.default_rng(camera).normal(0, 90, (HEIGHT, WIDTH)), (0, 0), 5) * 4 + 120
    )
    rng = np.random.default_rng([seed, camera])
    x, y = rng.uniform(0, WIDTH, WALKERS), rng.uniform(10, HEIGHT - 40, WALKERS)
    speed = rng.uniform(1, 2.5, WALKERS) * rng.choice([-1, 1], WALKERS)
    gray = rng.choice([10, 40, 220, 245], WALKERS)
    for t in range(frames):
        picture = scene + rng.normal(0, 2, scene.shape)
        factor = np.ones(WALKERS)
        if runs and runs[0] <= t < runs[1]:
            factor[0] = 5
        x = (x + speed * factor) % WIDTH
        for i in range(WALKERS):
            corner = int(x[i]), int(y[i] + 1.5 * np.sin(t / 2 + i))
            cv2.rectangle(picture, corner, (corner[0] + 12, corner[1] + 30), float(gray[i]), -1)
        yield picture.clip(0, 255).astype(np.uint8)


def generate(folder: Path, clips: int, frames: int) -> None:
    """Writes footage in the layout `folder`, with labels of the test clips."""
    jobs, labels = [], []
    for split, share in SHARES.items():
        for i in range(max(CAMERAS, round(clips * share))):
            runs = (frames // 3, frames // 2) if split == "test" and i % 2 else None
            name = f"camera{i % CAMERAS}/{i:05}"
            if runs:
                labels.append((name, *runs))
            seed = 3 * i + list(SHARES).index(split)
            jobs.append((folder / split / f"{name}.mp4", seed, i % CAMERAS, runs))
    joblib.Parallel(-1)(
        joblib.delayed(_write)(path, seed, camera, frames, runs) for path, seed, camera, runs in jobs
    )
    with open(folder / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("clip", "start", "end"), *labels])


def _write(path: Path, seed: int, camera: int, frames: int, runs: tuple[int, int] | None) -> None:
    encode(path, draw(seed, camera, frames, runs), FPS)


def prepare(folder: Path) -> Project:
    """A copy of this project with the recipe, and its own git repository."""
    project = copy(folder, DVC_SITE_CACHE_DIR=str(folder.with_name("site")))
    project.set({**overrides(["sample", "weight_free"]), "data.root": "data/many"})
    project.run("git", "init", "-q")
    project.run("dvc", "config", "-q", "cache.type", "hardlink,copy")  # or gigabytes would lie there twice
    return project


def measure(project: Project, stage: str) -> tuple[float, float, float]:
    """Runs a stage by DVC: (seconds of the stage itself, further seconds of DVC, peak memory in MB)."""
    start, began, seconds, peak = time.perf_counter(), 0.0, 0.0, 0
    log = project.folder.with_name(f"{stage}.log")
    with open(log, "w", encoding="utf-8") as file:
        command = ["dvc", "repro", "--single-item", stage]
        dvc = psutil.Popen(
            command, cwd=project.folder, env=project.env, stdout=file, stderr=subprocess.STDOUT
        )
        while dvc.poll() is None:
            if tree := _stage_tree(dvc, stage):
                began = began or time.perf_counter()
                seconds = time.perf_counter() - began
                peak = max(peak, sum(map(_memory, tree)))
            time.sleep(INTERVAL)
    if dvc.returncode:
        raise SystemExit(f"{stage} failed:\n{log.read_text('utf-8')}")
    return seconds, time.perf_counter() - start - seconds, peak / 1024


def _stage_tree(dvc: psutil.Popen, stage: str) -> list[psutil.Process]:
    """The process of the stage and its children; empty while it does not run."""
    try:
        for process in dvc.children(recursive=True):
            if process.cmdline()[-2:] == ["-m", f"stages.{stage}"]:
                return [process, *process.children(recursive=True)]
    except psutil.Error:  # the process has ended since
        pass
    return []


def _memory(process: psutil.Process) -> int:
    """Memory of a process in kB, without mapped files; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    _, found, after = status.partition("RssAnon:")
    return int(after.split()[0]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=100, help="of each clip")
    parser.add_argument(
        "--folder", type=Path, help="where to work; by default a temporary folder, then removed"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vad-many-", dir=args.folder) as name:
        project = prepare(Path(name) / "project")
        generate(project / "data/many", args.clips, args.frames)
        print(f"{args.clips} clips of {args.frames} frames, {WIDTH}x{HEIGHT}")
        print(f"{'stage':<12}{'seconds':>9}{'per clip':>10}{'DVC':>7}{'MB':>7}", flush=True)
        for stage in params.read(ROOT / "dvc.yaml")["stages"]:
            seconds, more, memory = measure(project, stage)
            print(
                f"{stage:<12}{seconds:>9.1f}{seconds / args.clips:>10.3f}{more:>7.1f}{memory:>7.0f}",
                flush=True,
            )
        start = time.perf_counter()
        project.repro()
        print(f"{'no-op':<12}{time.perf_counter() - start:>9.1f}")


if __name__ == "__main__":
    main()
