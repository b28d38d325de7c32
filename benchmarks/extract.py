"""extract against the ffmpeg command line doing the same work: decode, gray, scale by area, raw to disk.

    python -m benchmarks.extract [--loops 8] [--rounds 5]

Both write to the same temporary folder; ours also hashes what it writes. Runs alternate, so that what
else the machine does hits both alike: read the ratios, the absolute figures belong to the machine.
Footage is `samples/one-by-one-person-detection.mp4` under VAD_DATASETS (default ../shared/data),
looped until start-up does not count.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from joblib import Parallel, delayed

from vad.video import ExtractParams, extract, probe

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
CLIP = DATA / "samples" / "one-by-one-person-detection.mp4"
SIDE = 360
PARAMS = ExtractParams(fps=None, max_side=SIDE, color="gray")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ours(source: Path, end: int, threads: int) -> None:
    extract(source.with_suffix(""), source, 0, end, PARAMS, threads=threads)


def ffmpeg(source: Path, threads: int) -> None:
    width, height = SIDE, round(432 * SIDE / 768)
    command = ["ffmpeg", "-v", "error", "-y", "-threads", threads, "-filter_threads", threads, "-i", source]
    command += ["-vf", f"scale={width}:{height}:flags=area,format=gray", "-f", "rawvideo"]
    subprocess.run([*map(str, command), str(source.with_suffix(".raw"))], check=True)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(rounds: int, a: Callable[[], object], b: Callable[[], object]) -> tuple[float, float, float]:
    """(median seconds of a, of b, median of the ratios b / a), run a b a b … after one unmeasured round."""
    times = [(seconds(a), seconds(b)) for _ in range(rounds + 1)][1:]
    return median(t[0] for t in times), median(t[1] for t in times), median(t[1] / t[0] for t in times)


def main() -> None:
    parser = argparse.ArgumentParser(description="extract against the ffmpeg command line")
    parser.add_argument("--loops", type=int, default=8, help="copies of the clip in the long file")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each")
    args = parser.parse_args()
    if not CLIP.is_file():
        print(f"skipped: {CLIP} not found; set VAD_DATASETS to the folder with samples/")
        return
    if not shutil.which("ffmpeg"):
        print("skipped: the ffmpeg command line is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="vad-bench-") as folder, Parallel(n_jobs=CORES) as pool:
        long = Path(folder) / "long.mp4"
        loop = ["ffmpeg", "-v", "error", "-stream_loop", str(args.loops - 1), "-i", str(CLIP), "-c", "copy"]
        subprocess.run([*loop, str(long)], check=True)
        n = probe(long).frames
        parts = []
        for i in range(2 * CORES):
            parts.append(Path(folder) / f"part{i}.mp4")
            subprocess.run(
                ["ffmpeg", "-v", "error", "-i", str(CLIP), "-c", "copy", str(parts[-1])], check=True
            )
        m = probe(parts[0]).frames

        def many_ours() -> None:
            pool(delayed(ours)(part, m, 1) for part in parts)

        def many_ffmpeg() -> None:
            with ThreadPoolExecutor(CORES) as several:
                list(several.map(lambda part: ffmpeg(part, 1), parts))

        def row(
            name: str, frames: int, a: Callable[[], object], b: Callable[[], object]
        ) -> tuple[float, float]:
            t, u, ratio = alternate(args.rounds, a, b)
            print(f"{name:<38}{frames / t:>10.0f}{frames / u:>10.0f}{ratio:>8.2f}", flush=True)
            return t, u

        print(
            f"{n} frames 768x432 -> {SIDE}x{round(432 * SIDE / 768)} gray, {args.rounds} rounds, {CORES} cores"
        )
        print(f"{'frames per second':<38}{'extract':>10}{'ffmpeg':>10}{'ratio':>8}")
        row(f"one file, {CORES} threads", n, lambda: ours(long, n, CORES), lambda: ffmpeg(long, CORES))
        row("one file, 1 thread", n, lambda: ours(long, n, 1), lambda: ffmpeg(long, 1))
        raw, array = long.with_suffix(".raw").stat().st_size, long.with_suffix(".npy").stat().st_size
        if array - 128 != raw:
            sys.exit(f"not the same work: extract wrote {array - 128} bytes, ffmpeg {raw}")
        name = f"{len(parts)} files, {CORES} processes of 1 thread"
        t, u = row(name, m * len(parts), many_ours, many_ffmpeg)

        def one_by_one_ours() -> None:
            for part in parts:
                ours(part, m, 1)

        def one_by_one_ffmpeg() -> None:
            for part in parts:
                ffmpeg(part, 1)

        a, b = row(
            f"{len(parts)} files, one after another", m * len(parts), one_by_one_ours, one_by_one_ffmpeg
        )
        print(f"{'speed-up by processes':<38}{a / t:>10.2f}{b / u:>10.2f}")


if __name__ == "__main__":
    main()
