"""Optical flow between neighbouring frames, by the method that flow.method names.

In: data/manifest.csv, data/frames/. Out: data/flow/.
"""

from pathlib import Path

from vad import flow
from vad.pipeline import clipwise, stage
from vad.store import manifest

MANIFEST, FRAMES, FLOW = Path("data/manifest.csv"), Path("data/frames"), Path("data/flow")


def main(run: stage.Run) -> None:
    _, method, params = run.choice("flow", flow.FlowParams)
    compute = run.params("compute", clipwise.ComputeParams)
    jobs = [
        clipwise.Job.on(clip.clip, [FRAMES / clip.clip], params)
        for clip in manifest.available(MANIFEST, FRAMES)
    ]
    clipwise.run(method.flow, jobs, FLOW, params=params, cache=run.cache, compute=compute, label="flow")


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES])
