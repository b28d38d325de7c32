"""Checks the model without labels: alters normal footage that it has not seen; the scores should rise.

In: data/manifest.csv (cameras), data/frames/, data/regions/ (where there is something to alter), data/errors/
(of the normal clips as they are), models/autoencoder/, models/branches/, models/calibration.json.
Out: data/altered/ (errors of the altered passages); reports/validation/ (figures, a table of the stretches,
and a picture with an example of each kind).
"""

from functools import lru_cache
from pathlib import Path

from vad.branches.params import BranchesParams, MeasureParams
from vad.flow import FlowParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.regions import PreprocessParams
from vad.scoring.calibration import Calibration
from vad.store import manifest
from vad.validation.footage import open_footage
from vad.validation.measuring import measure_passage
from vad.validation.params import ValidateParams
from vad.validation.passages import choose
from vad.validation.report import report
from vad.windows.spec import ModelName, ResizeParams, TensorSpec, WindowSpec

MANIFEST, FRAMES, REGIONS = Path("data/manifest.csv"), Path("data/frames"), Path("data/regions")
ERRORS, ALTERED = Path("data/errors"), Path("data/altered")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
CALIBRATION, REPORTS = Path("models/calibration.json"), Path("reports/validation")
OPEN_CLIPS = 32


def main(run: stage.Run) -> None:
    params = run.params("validate", ValidateParams)
    clips = manifest.measured(MANIFEST, ERRORS, "val")
    # few at a time, since every open clip holds a file
    footage = lru_cache(OPEN_CLIPS)(lambda clip: open_footage(FRAMES / clip, REGIONS / clip))
    passages, seconds = choose(clips, footage, params)
    parts, hashes = _model(run)
    jobs = [
        Job.on(
            passage.clip,
            [FRAMES / passage.clip],
            *(passage, *parts),
            name=f"{i:04d}",
            also=[passage.hash, *hashes],
        )
        for i, passage in enumerate(passages)
    ]
    each_clip(run, measure_passage, jobs, ALTERED, parallel=False)  # processors run in threads
    if not jobs:  # DVC warns of empty folders
        (ALTERED / "none.txt").write_text("No passage was altered.\n", "utf-8")
    for line in report(
        REPORTS, passages, seconds, clips, footage, ERRORS, ALTERED, Calibration.load(CALIBRATION), params
    ):
        run.log(line)


def _model(run: stage.Run) -> tuple[tuple, list[str]]:
    """All that measuring needs beside a passage, and hashes of what is not in parameters."""
    _, flow, flow_params = run.choice("flow", FlowParams)
    preprocess, mode, mode_params = run.choice("preprocess", PreprocessParams)
    window = run.params(f"model.{run.params('model', ModelName).name}.window", WindowSpec)
    spec = TensorSpec.of(run.params("resize", ResizeParams), window)
    classes = run.each("branches", BranchesParams).values()
    branches = tuple(branch(params) for branch, params in classes)
    hashes = [branch.open(AUTOENCODER, STATISTICS / branch.name) for branch in branches]
    prepared = mode(mode_params, preprocess.foreground)
    hashes += prepared.prepare(run.cache)
    return (flow(flow_params), prepared, spec, branches, run.params("measure", MeasureParams)), hashes


if __name__ == "__main__":
    inputs = [MANIFEST, FRAMES, REGIONS, ERRORS, AUTOENCODER, STATISTICS, CALIBRATION]
    stage.run(main, __doc__, reads=inputs)
