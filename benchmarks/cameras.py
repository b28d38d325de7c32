"""Cameras in real time: latency, frames that were dropped, processor time and memory.

    python -m benchmarks.cameras [--project DIR] [--seconds 60]
    python -m benchmarks.cameras [--project DIR] --hour [--fps 25]

Servers on loopback send looped footage as RTSP cameras do, and `vad.detect.cameras.Watch`, which is all of
`vad detect` but for the command line, watches them on two cores that it shares with the servers. The latency
of a score is the time since the arrival of its frame, beyond the stated lookahead; it is taken after the
warm-up. The background is learned for the first 16 s.

--hour watches a camera of 360x240 for an hour, and prints latency and memory of every minute.

The model is of the recipe `objects`, trained on the sample, or that of --project, a folder in which `dvc
repro export` has run; frames are not reduced to the size of its footage. Needs footage under VAD_DATASETS
(default ../shared/data), ffmpeg, and what tests/inputs/rtsp_server.py names.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks._deployed import FOOTAGE, WEIGHTS, child, load, project_of
from tests.inputs.rtsp_server import RtspServer, missing
from vad.detect.cameras import Camera, Watch
from vad.detect.options import Options
from vad.detect.outputs import Output
from vad.detect.printing import CameraState, Printer
from vad.detect.sessions import choose_camera
from vad.detect.source_outputs import SourceOutputs
from vad.inputs.source import find_sources
from vad.live import TrainedModel
from vad.overlay.scored_frame import ScoredFrame, SessionInfo

PED2, INDOOR = "Ped2 360x240", "one-by-one 768x432"
CLIPS = 6  # of Ped2 that are shown in turn
HOUR, MINUTE = 3600, 60  # seconds


class Setup(NamedTuple):
    """Equal cameras.

    Attributes:
        cameras: number of cameras.
        footage: what they show.
        rows: height of the picture in pixels.
        fps: frames per second.
    """

    cameras: int
    footage: str
    rows: int
    fps: int


SETUPS = [
    Setup(1, PED2, 240, 10),
    Setup(1, PED2, 240, 25),
    Setup(4, PED2, 240, 10),
    Setup(1, INDOOR, 432, 10),
    Setup(1, INDOOR, 432, 25),
    Setup(4, INDOOR, 432, 5),
]


def looped(folder: Path, setup: Setup, seconds: int) -> Path:
    """Writes footage as a camera sends it, without B-frames, again and again for some seconds.

    Args:
        folder: for the file.
        setup: footage and rate.
        seconds: duration at least.
    """
    source, once = FOOTAGE[setup.footage], folder / f"once-{setup.rows}-{setup.fps}.mp4"
    path = folder / f"{setup.rows}-{setup.fps}-{seconds}.mp4"
    if path.exists():
        return path
    listed = folder / "pictures.txt"
    if source.is_dir():
        clips = sorted(clip for clip in source.parent.iterdir() if not clip.name.endswith("_gt"))[:CLIPS]
        pictures = [picture for clip in clips for picture in sorted(clip.glob("*.jpg"))]
        listed.write_text("".join(f"file '{picture}'\nduration {1 / setup.fps}\n" for picture in pictures))
        read = ["-f", "concat", "-safe", "0", "-i", listed]
    else:
        read = ["-i", source]
    # every picture once, at the rate of the camera
    rate = ["-vf", f"setpts=N/{setup.fps}/TB", "-r", setup.fps, "-g", setup.fps, "-pix_fmt", "yuv420p"]
    run = ["ffmpeg", "-v", "error", "-y"]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-threads", "1"]
    subprocess.run([str(x) for x in (*run, *read, *rate, *encoder, once)], check=True)
    loop = ["-stream_loop", "-1", "-i", once, "-t", seconds, "-c", "copy", path]
    subprocess.run([str(x) for x in (*run, *loop)], check=True)
    return path


class Latency(Output):
    """Notes how late the scores of a camera are, beyond the lookahead, after the warm-up.

    Attributes:
        seconds: of each score.
        times: when it came, as POSIX time.
    """

    def __init__(self, model: TrainedModel):
        self.seconds, self.times = array("d"), array("d")  # small, as memory is measured too
        self._model = model

    def frame(self, scored: ScoredFrame) -> None:
        if scored.result.warming_up:
            return
        assert scored.time is not None
        now, delay = datetime.now(UTC), self._model.lookahead(scored.info.fps) / scored.info.fps
        self.seconds.append((now - scored.time).total_seconds() - delay)
        self.times.append(now.timestamp())

    def end(self, info: SessionInfo) -> None:
        # the last scores waited for no further frames
        ahead = self._model.lookahead(info.fps)
        del self.seconds[-ahead:], self.times[-ahead:]

    @property
    def rate(self) -> float:
        """Scores per second."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


class Minutes(Printer):
    """Prints a line a minute: latency and memory; notes the last states of cameras that were watched.

    Args:
        latencies: of the cameras.

    Attributes:
        watched: last state of each camera.
        before: its state at the end of the warm-up.
    """

    def __init__(self, latencies: Sequence[Latency]):
        super().__init__(quiet=True)
        self.watched: dict[str, CameraState] = {}
        self.before: dict[str, CameraState] = {}
        self._latencies, self._taken = latencies, [0] * len(latencies)
        self._start, self._minute = time.monotonic(), 0
        self._events = 0

    def event(self, *_: object) -> None:
        self._events += 1

    def states(self, states: Sequence[CameraState]) -> None:
        # those that have ended tell nothing
        self.watched |= {state.source: state for state in states if state.state == "live"}
        self.before |= {name: state for name, state in self.watched.items() if state.warming_up}
        minute = int((time.monotonic() - self._start) / MINUTE)
        if minute > self._minute:
            self._minute = minute
            taken = [latency.seconds[n:] for latency, n in zip(self._latencies, self._taken, strict=True)]
            self._taken = [len(latency.seconds) for latency in self._latencies]
            print(
                f"minute {minute}: {memory():.0f} MB, {percentiles(np.concatenate(taken))}, "
                f"{self.dropped} dropped, {self._events} begins and ends of events",
                file=sys.stderr,
                flush=True,
            )

    @property
    def dropped(self) -> int:
        """Frames dropped after the warm-up."""
        return sum(s.dropped - self.before[name].dropped for name, s in self.watched.items())


def memory() -> float:
    """Memory of this process in megabytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentiles(seconds: np.ndarray) -> str:
    """Latencies as text."""
    if not len(seconds):
        return "no scores"
    half, most, longest = 1000 * np.percentile(seconds, [50, 95, 100])
    return f"median {half:.0f} ms, 95 % within {most:.0f} ms, longest {longest:.0f} ms"


def measure(project: Path, rows: int, seconds: float, addresses: Sequence[str]) -> dict[str, float]:
    """Watches cameras.

    Args:
        project: with a deployed model.
        rows: height of the pictures in pixels.
        seconds: after which it ends.
        addresses: of the cameras.

    Returns:
        Latencies in seconds; scores per second and camera; frames dropped after the warm-up; processor time
        per second in seconds; memory in megabytes.
    """
    model = load(project, rows)
    sources = find_sources(addresses)
    latencies = [Latency(model) for _ in sources]
    cameras = [
        Camera(source, choose_camera(model, source, None), SourceOutputs([latency]))
        for source, latency in zip(sources, latencies, strict=True)
    ]
    printer = Minutes(latencies)
    options = Options([*addresses], project, [], seconds=seconds)
    start, used = time.monotonic(), time.process_time()
    with Watch(cameras, model, options, printer, lambda: False, alone=True) as watch:
        failed = watch.wait()
    lasted = time.monotonic() - start
    assert not failed, f"{failed} cameras failed"
    all_seconds = np.concatenate([latency.seconds for latency in latencies])
    halves = [np.array_split(latency.seconds, 2) for latency in latencies]
    first, second = (np.median(np.concatenate(half)) for half in zip(*halves, strict=True))
    return {
        "median": float(np.median(all_seconds)),
        "most": float(np.percentile(all_seconds, 95)),
        "growth": float(second - first),
        "rate": float(np.mean([latency.rate for latency in latencies])),
        "dropped": printer.dropped,
        "cores": (time.process_time() - used) / lasted,
        "memory": memory(),
    }


def watched(project: Path, setup: Setup, folder: Path, seconds: int) -> dict[str, float]:
    """Starts cameras, and watches them in a process of its own."""
    # a server sends the file once to each client
    path = looped(folder, setup, seconds + 30)
    with ExitStack() as stack:
        servers = [stack.enter_context(RtspServer(file=path)) for _ in range(setup.cameras)]
        addresses = [server.url for server in servers]
        command = ["benchmarks.cameras", "--child", str(project), str(setup.rows), str(seconds), *addresses]
        return json.loads(child(command, 2))


def table(project: Path, setups: Sequence[Setup], seconds: int, folder: Path) -> Iterator[str]:
    """Yields the lines of a table."""
    yield (
        f"{'cameras':>7} {'footage':20} {'fps':>4} {'scores/s':>8} {'median':>9} {'95 %':>9} {'growth':>9} "
        f"{'dropped':>7} {'cores':>5} {'memory':>8}"
    )
    for setup in setups:
        got = watched(project, setup, folder, seconds)
        ms = [f"{1000 * got[name]:6.0f} ms" for name in ("median", "most", "growth")]
        yield (
            f"{setup.cameras:7} {setup.footage:20} {setup.fps:4} {got['rate']:8.1f} {' '.join(ms)} "
            f"{got['dropped']:7.0f} {got['cores']:5.2f} {got['memory']:5.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of rows of the table, from 0")
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--fps", type=int, default=25, help="of the camera of --hour")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        project, rows, seconds, *addresses = args.child
        print(json.dumps(measure(Path(project), int(rows), float(seconds), addresses)))
        return
    needed = [FOOTAGE[PED2], FOOTAGE[INDOOR], *([] if args.project else [WEIGHTS])]
    lacking = [str(path) for path in needed if not path.exists()]
    if reason := missing() or (f"no {', '.join(lacking)}" if lacking else None):
        print(f"skipped: {reason}")
        return
    with project_of(args.project, "objects") as project, TemporaryDirectory() as folder:
        if args.hour:
            setups, seconds = [Setup(1, PED2, 240, args.fps)], HOUR
        else:
            setups, seconds = [SETUPS[i] for i in args.only or range(len(SETUPS))], args.seconds
        for line in table(project, setups, seconds, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
