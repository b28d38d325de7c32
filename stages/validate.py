"""Checks the model without labels: alters normal footage that was left out of training; scores should rise.

In: data/manifest.csv (cameras), data/frames/, data/regions/ (where there is something to alter),
data/body_height.json, data/zones.yaml, data/errors/ (of the normal clips as they are), models/autoencoder/,
models/branches/, models/calibration.json.
Out: data/altered/ (errors of the altered passages); reports/validation/ (figures, a table of the stretches,
and a picture with an example of each kind).
"""

from functools import lru_cache
from pathlib import Path

from vad.branches.ensemble import open_members
from vad.branches.params import BranchesParams, MeasureParams
from vad.flow import FlowMethod, FlowParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.regions import PreprocessParams, RegionMode
from vad.scoring.calibration import Calibration
from vad.store import manifest
from vad.store.body_heights import read_body_heights
from vad.store.zones import read_zones
from vad.validation.footage import open_footage
from vad.validation.measuring import measure_passage
from vad.validation.params import ValidateParams
from vad.validation.passages import choose
from vad.validation.report import report
from vad.windows.spec import ModelName, ResizeParams, WindowParams

MANIFEST, FRAMES, REGIONS = Path("data/manifest.csv"), Path("data/frames"), Path("data/regions")
BODY_HEIGHTS, ZONES = Path("data/body_height.json"), Path("data/zones.yaml")
ERRORS, ALTERED = Path("data/errors"), Path("data/altered")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
CALIBRATION, REPORTS = Path("models/calibration.json"), Path("reports/validation")
OPEN_CLIPS = 32
Processors = tuple[FlowMethod, RegionMode, ResizeParams, WindowParams]


def main(run: stage.Run) -> None:
    params, measure = run.params("validate", ValidateParams), run.params("measure", MeasureParams)
    # without folds, only validation clips have errors
    clips = manifest.measured(MANIFEST, ERRORS, "train", "val")
    # few at a time, since every open clip holds a file
    footage = lru_cache(OPEN_CLIPS)(lambda clip: open_footage(FRAMES / clip, REGIONS / clip))
    passages, seconds = choose(clips, footage, params)
    processors, hashes = _processors(run)
    classes = run.each("branches", BranchesParams).values()
    # each clip by the models that have not seen it; without folds, there is a single model, number 0
    folds = {clip.clip: max(0, clip.fold) for clip in clips}
    members = {f: open_members(classes, [f], AUTOENCODER, STATISTICS) for f in sorted({*folds.values()})}
    cameras = {clip.clip: clip.camera for clip in clips}
    heights, zones = read_body_heights(BODY_HEIGHTS), read_zones(ZONES)
    jobs = []
    for i, passage in enumerate(passages):
        opened, of_branches = members[folds[passage.clip]]
        height = heights.of(camera := cameras[passage.clip], footage(passage.clip).size[1])
        parts = (passage, *processors, tuple(opened), measure, camera, height, zones.of(camera))
        also = [passage.hash, *hashes, *of_branches, camera, height.hash, zones.of(camera).hash]
        jobs.append(Job.on(passage.clip, [FRAMES / passage.clip], *parts, name=f"{i:04d}", also=also))
    each_clip(run, measure_passage, jobs, ALTERED, parallel=False)  # processors run in threads
    if not jobs:  # DVC warns of empty folders
        (ALTERED / "none.txt").write_text("No passage was altered.\n", "utf-8")
    calibration = Calibration.load(CALIBRATION)
    for line in report(REPORTS, passages, seconds, clips, footage, ERRORS, ALTERED, calibration, params):
        run.log(line)


def _processors(run: stage.Run) -> tuple[Processors, list[str]]:
    """What goes before the branches, and hashes of the inputs that are not parameters."""
    _, flow, flow_params = run.choice("flow", FlowParams)
    preprocess, mode, mode_params = run.choice("preprocess", PreprocessParams)
    window = run.params(f"model.{run.params('model', ModelName).name}.window", WindowParams)
    prepared: RegionMode = mode(mode_params, preprocess.foreground)
    hashes = prepared.prepare(run.cache)
    return (flow(flow_params), prepared, run.params("resize", ResizeParams), window), hashes


if __name__ == "__main__":
    inputs = [MANIFEST, FRAMES, REGIONS, BODY_HEIGHTS, ZONES, ERRORS, AUTOENCODER, STATISTICS, CALIBRATION]
    stage.run(main, __doc__, reads=inputs)
