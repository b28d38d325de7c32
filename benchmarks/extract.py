"""`extract` compared with the ffmpeg command line: both decode, convert to gray, resize by area, write raw.

    python -m benchmarks.extract [--loops 8] [--rounds 5]

Both write to the same temporary folder; `extract` also hashes its output. Runs alternate, so that other load
on the machine affects both equally: read the ratios, as absolute figures depend on the machine. Footage is
`samples/one-by-one-person-detection.mp4` under VAD_DATASETS (default ../shared/data), repeated so often that
start-up time is negligible.
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

from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.footage.probe import probe

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
CLIP = DATA / "samples" / "one-by-one-person-detection.mp4"
WIDTH, HEIGHT = 360, 202
PARAMS = ExtractParams(fps=None, max_side=WIDTH, color="gray")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loop(path: Path, times: int) -> Path:
    """Writes a file with the clip repeated `times` times."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-stream_loop",
        str(times - 1),
        "-i",
        str(CLIP),
        "-c",
        "copy",
        str(path),
    ]
    subprocess.run(command, check=True)
    return path


def ours(source: Path, end: int, threads: int) -> None:
    extract(source.with_suffix(""), source, 0, end, PARAMS, threads=threads)


def ffmpeg(source: Path, threads: int) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-threads", threads, "-filter_threads", threads, "-i", source]
    command += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,format=gray", "-f", "rawvideo"]
    subprocess.run([*map(str, command), str(source.with_suffix(".raw"))], check=True)


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Elapsed seconds, and seconds of processor time of this process and of children that have ended."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - start, sum(os.times()[:4]) - before


def compare(name: str, frames: int, rounds: int, a: Callable[[], object], b: Callable[[], object]) -> None:
    """Runs a and b alternately, after a round that is not measured; prints medians. Ratios above 1 favour a.

    Processor time is more reliable than elapsed time if others use the machine. That of joblib's workers
    cannot be measured here, so their row has none.
    """
    costs = [(cost(a), cost(b)) for _ in range(rounds + 1)][1:]
    rate_a, rate_b = (median(frames / c[i][0] for c in costs) for i in (0, 1))
    clock, processor = (median(cb[i] / ca[i] for ca, cb in costs) for i in (0, 1))
    spent = "" if "processes" in name else f"{processor:>13.2f}"
    print(f"{name:<38}{rate_a:>10.0f}{rate_b:>10.0f}{clock:>8.2f}{spent}", flush=True)


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
        long = loop(Path(folder) / "long.mp4", args.loops)
        parts = [loop(Path(folder) / f"part{i}.mp4", 2) for i in range(2 * CORES)]
        n, m = probe(long).frames, probe(parts[0]).frames

        def ours_at_once() -> None:
            pool(delayed(ours)(part, m, 1) for part in parts)

        def ffmpeg_at_once() -> None:
            with ThreadPoolExecutor(CORES) as several:
                list(several.map(lambda part: ffmpeg(part, 1), parts))

        def speed_up(single: Callable[[Path], None], at_once: Callable[[], None]) -> float:
            """Time for all parts in sequence, divided by the time for all parts in parallel."""
            serial = [cost(lambda: [single(part) for part in parts])[0] for _ in range(args.rounds)]
            return median(serial) / median(cost(at_once)[0] for _ in range(args.rounds))

        print(f"{n} frames, 768x432 -> {WIDTH}x{HEIGHT} gray, {args.rounds} rounds, {CORES} cores")
        print(f"{'frames per second':<38}{'extract':>10}{'ffmpeg':>10}{'ratio':>8}{'by CPU time':>13}")
        compare(
            f"one file, {CORES} threads",
            n,
            args.rounds,
            lambda: ours(long, n, CORES),
            lambda: ffmpeg(long, CORES),
        )
        compare("one file, 1 thread", n, args.rounds, lambda: ours(long, n, 1), lambda: ffmpeg(long, 1))
        sizes = [long.with_suffix(suffix).stat().st_size for suffix in (".npy", ".raw")]
        if sizes[0] - 128 != sizes[1]:
            sys.exit(f"not the same work: extract wrote {sizes[0] - 128} bytes, ffmpeg {sizes[1]}")
        name = f"{len(parts)} files, {CORES} processes of 1 thread"
        compare(name, m * len(parts), args.rounds, ours_at_once, ffmpeg_at_once)
        a = speed_up(lambda part: ours(part, m, 1), ours_at_once)
        b = speed_up(lambda part: ffmpeg(part, 1), ffmpeg_at_once)
        print(f"{f'speed-up by {CORES} processes':<38}{a:>10.2f}{b:>10.2f}{a / b:>8.2f}")


if __name__ == "__main__":
    main()
