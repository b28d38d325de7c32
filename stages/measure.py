"""Measures the errors of the validation and test clips: one per branch and region or cell.

In: data/tensors/val, data/tensors/test, data/regions/, data/flow/; models/autoencoder/, models/branches/.
Out: data/errors/.
"""

from pathlib import Path

from vad.branches.measure import measure_clip
from vad.branches.params import BranchesParams, MeasureParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip

TENSORS, REGIONS, FLOW = Path("data/tensors"), Path("data/regions"), Path("data/flow")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
ERRORS = Path("data/errors")
SPLITS = ("val", "test")


def main(run: stage.Run) -> None:
    params = run.params("measure", MeasureParams)
    classes = run.each("branches", BranchesParams).values()
    branches = tuple(branch(branch_params) for branch, branch_params in classes)
    hashes = [branch.open(AUTOENCODER, STATISTICS / branch.name) for branch in branches]
    clips = [f"{split}/{file.stem}" for split in SPLITS for file in sorted((TENSORS / split).glob("*.json"))]
    jobs = [
        Job.on(clip, [TENSORS / clip, REGIONS / clip, FLOW / clip], branches, params, also=hashes)
        for clip in clips
    ]
    each_clip(run, measure_clip, jobs, ERRORS, parallel=False)  # torch already uses all cores


if __name__ == "__main__":
    inputs = [*(TENSORS / split for split in SPLITS), REGIONS, FLOW, AUTOENCODER, STATISTICS]
    stage.run(main, __doc__, reads=inputs)
