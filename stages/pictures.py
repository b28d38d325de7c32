"""Measures frames of the normal clips as if each were a single picture, for a threshold of such pictures.

Each clip is measured by the models that did not learn from it, by the branches that need no motion. Nothing
is measured if the mode of preprocessing finds no regions in single pictures.

In: data/manifest.csv (cameras), data/tensors/folds.csv, data/frames/, data/body_height.json, data/zones.yaml;
models/autoencoder/, models/branches/. Out: data/picture_errors/.
"""

from pathlib import Path

from vad import UserError
from vad.branches.ensemble import open_members
from vad.branches.params import BranchesParams, MeasureParams
from vad.branches.pictures import measure_pictures
from vad.flow import FlowParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.regions import PreprocessParams
from vad.store.body_heights import read_body_heights
from vad.store.cards import read_card
from vad.store.manifest import available, read_folds
from vad.store.zones import read_zones
from vad.windows.spec import ModelName, ResizeParams, WindowParams

MANIFEST, FOLDS, FRAMES = Path("data/manifest.csv"), Path("data/tensors/folds.csv"), Path("data/frames")
BODY_HEIGHTS, ZONES = Path("data/body_height.json"), Path("data/zones.yaml")
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
PICTURES = Path("data/picture_errors")


def main(run: stage.Run) -> None:
    _, flow, flow_params = run.choice("flow", FlowParams)
    preprocess, mode_class, mode_params = run.choice("preprocess", PreprocessParams)
    window = run.params(f"model.{run.params('model', ModelName).name}.window", WindowParams)
    resize, params = run.params("resize", ResizeParams), run.params("measure", MeasureParams)
    classes = run.each("branches", BranchesParams).values()
    mode = mode_class(mode_params, preprocess.foreground)
    of_mode = mode.prepare(run.cache)
    left_out = read_folds(FOLDS)  # without folds, the validation clips are left out
    clips = [c for c in available(MANIFEST, FRAMES) if c.clip in left_out or c.split == "val"]
    heights, zones = read_body_heights(BODY_HEIGHTS), read_zones(ZONES)
    try:
        before = flow(flow_params), mode.for_pictures(), resize, window
    except UserError as e:
        run.log(f"matters for `vad detect PICTURE` alone: single pictures cannot be scored: {e}")
        clips = []
    folds = {left_out.get(clip.clip, 0) for clip in clips}
    members = {fold: open_members(classes, [fold], AUTOENCODER, STATISTICS) for fold in folds}
    jobs = []
    for clip in clips:
        opened, hashes = members[left_out.get(clip.clip, 0)]
        height = heights.of(clip.camera, read_card(FRAMES / clip.clip)["shape"][1])
        of_camera = zones.of(clip.camera)
        parts = (*before, tuple(opened), params, clip.camera, height, of_camera)
        also = [*of_mode, *hashes, clip.camera, height.hash, of_camera.hash]
        jobs.append(Job.on(clip.clip, [FRAMES / clip.clip], *parts, also=also))
    each_clip(run, measure_pictures, jobs, PICTURES, parallel=False)
    if not jobs:  # DVC warns of empty folders
        (PICTURES / "none.txt").write_text("No frame was measured as a picture.\n", "utf-8")


if __name__ == "__main__":
    of_clips = [MANIFEST, FOLDS, FRAMES, BODY_HEIGHTS, ZONES]
    stage.run(main, __doc__, reads=[*of_clips, AUTOENCODER, STATISTICS])
