"""The video with overlays at 768x432: drawing and encoding alone, and `vad detect` with and without it.

    python -m benchmarks.overlay_video [--project DIR] [--rounds 3] [--seconds 30]

The model is of the recipe `objects`, trained on the sample, or that of --project, a folder in which `dvc
repro export` has run. Needs samples/one-by-one-person-detection.mp4 (10 frames per second) under
VAD_DATASETS (default ../shared/data), and ffmpeg. Drawing and encoding are timed on one core, in processor
time; commands in turn, on two cores, by the clock.
"""

import argparse
import json
import subprocess
import time
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks._deployed import DEPLOYED, FOOTAGE, WEIGHTS, child, project_of
from vad.detect.outputs import Output
from vad.detect.sessions import choose_camera, open_scorer
from vad.detect.source_outputs import SourceOutputs
from vad.detect.video import VideoOutput
from vad.inputs.files import open_file
from vad.inputs.source import find_sources
from vad.live import load_deployed
from vad.overlay.scored_frame import ScoredFrame

CLIP = FOOTAGE["one-by-one 768x432"]
FRAMES = 200  # kept in memory


class KeptFrames(Output):
    """Keeps scored frames with their pictures."""

    wants_pictures = True

    def __init__(self) -> None:
        self.scored_frames: list[ScoredFrame] = []

    def frame(self, scored: ScoredFrame) -> None:
        self.scored_frames.append(scored)


def drawing_speed(project: Path, clip: Path) -> dict[str, float]:
    """Frames per second of drawing and encoding, and the size of the video in bytes per frame."""
    model, (source,), output = load_deployed(project / DEPLOYED), find_sources([str(clip)]), KeptFrames()
    frames = open_file(source, model.extract.color)
    first = next(frames.decoded)
    camera = choose_camera(model, source, None)
    scorer, _ = open_scorer(
        model, source, camera, frames.fps, first, SourceOutputs([output]), lambda record: None, live=False
    )
    scorer.process(first)
    for decoded in islice(frames.decoded, FRAMES):
        scorer.process(decoded)
    scorer.finish()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        start = time.process_time()
        video = VideoOutput(path)
        for scored in output.scored_frames:
            video.frame(scored)
        video.close()
        fps = len(output.scored_frames) / (time.process_time() - start)
        return {"fps": fps, "bytes": path.stat().st_size / len(output.scored_frames)}


def command_seconds(project: Path, clip: Path, video: Path | None) -> float:
    """Duration of `vad detect`, start included."""
    start = time.perf_counter()
    options = ["--video", str(video), "--overwrite"] if video else []
    model = ["--model", str(project / DEPLOYED)]
    child(["vad.cli", "detect", str(clip), *model, "--quiet", *options], 2)
    return time.perf_counter() - start


def compare(project: Path, folder: Path, rounds: int, seconds: int) -> None:
    """Prints the figures."""
    clip = folder / "clip.mp4"
    run = ["ffmpeg", "-v", "error", "-i", str(CLIP), "-t", str(seconds), "-c", "copy", str(clip)]
    subprocess.run(run, check=True)
    speeds, without, with_video = [], [], []
    for _ in range(rounds):
        command = ["benchmarks.overlay_video", "--child", str(project), str(clip)]
        speeds.append(json.loads(child(command, 1)))
        without.append(command_seconds(project, clip, None))
        with_video.append(command_seconds(project, clip, folder / "video.mp4"))
    fps, size = (median(speed[name] for speed in speeds) for name in ("fps", "bytes"))
    print(f"drawing and encoding on one core: {fps:.0f} frames/s, {size / 1000:.1f} kB a frame")
    a, b = median(without), median(with_video)
    print(f"vad detect on {seconds} s of footage, two cores: {a:.1f} s, with --video {b:.1f} s ({b / a:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(drawing_speed(*args.child)))
        return
    if lacking := [path for path in (CLIP, *([] if args.project else [WEIGHTS])) if not path.exists()]:
        print(f"skipped: no {lacking[0]}")
        return
    with project_of(args.project, "objects") as project, TemporaryDirectory() as folder:
        compare(project, Path(folder), args.rounds, args.seconds)


if __name__ == "__main__":
    main()
