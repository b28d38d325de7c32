"""Computes optical flow between neighbouring frames with the method set by flow.method.

In: data/manifest.csv, data/frames/. Out: data/flow/.
"""

from pathlib import Path

from vad.flow import FlowParams
from vad.flow.compute import compute_flow
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.store import manifest

MANIFEST, FRAMES, FLOW = Path("data/manifest.csv"), Path("data/frames"), Path("data/flow")


def main(run: stage.Run) -> None:
    _, method, params = run.choice("flow", FlowParams)
    clips = manifest.available(MANIFEST, FRAMES)
    jobs = [Job.on(clip.clip, [FRAMES / clip.clip], method(params)) for clip in clips]
    each_clip(run, compute_flow, jobs, FLOW)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES])
