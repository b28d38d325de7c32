"""Measures the errors of the normal and test clips: one per branch and region or cell.

With folds, each normal clip is measured by the models that did not learn from it, and test clips by all
models, whose errors are averaged. Without folds, only validation and test clips are measured. Frames of the
normal clips are also measured as single pictures, if the mode of preprocessing finds regions in these.

In: data/manifest.csv (cameras), data/tensors/, data/regions/, data/body_height.json, data/flow/, data/frames/
(for pictures); models/autoencoder/, models/branches/. Out: data/errors/, data/picture_errors/.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vad import UserError
from vad.branches.ensemble import open_members, trained_folds
from vad.branches.measure import measure_clip
from vad.branches.params import BranchesParams, MeasureParams
from vad.branches.pictures import measure_pictures
from vad.flow import FlowParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.regions import PreprocessParams, RegionMode
from vad.store.body_heights import read_body_heights
from vad.store.cards import read_card
from vad.store.manifest import read_folds, read_manifest
from vad.windows.spec import ModelName, ResizeParams, WindowParams

TENSORS, REGIONS, FLOW = Path("data/tensors"), Path("data/regions"), Path("data/flow")
MANIFEST, BODY_HEIGHTS = Path("data/manifest.csv"), Path("data/body_height.json")
FOLDS = TENSORS / "folds.csv"
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
FRAMES, ERRORS, PICTURES = Path("data/frames"), Path("data/errors"), Path("data/picture_errors")
SPLITS = ("train", "val", "test")


def main(run: stage.Run) -> None:
    params = run.params("measure", MeasureParams)
    classes = run.each("branches", BranchesParams).values()
    left_out, folds = read_folds(FOLDS), trained_folds(AUTOENCODER)
    if (expected := sorted({*left_out.values()}) or [0]) != folds:
        raise UserError(f"{AUTOENCODER} has models of the folds {folds}, {FOLDS} {expected}; run `dvc repro`")
    members = {fold: open_members(classes, [fold], AUTOENCODER, STATISTICS) for fold in {*left_out.values()}}
    ensemble = open_members(classes, folds, AUTOENCODER, STATISTICS)
    cameras = {clip.clip: clip.camera for clip in read_manifest(MANIFEST)}
    heights = read_body_heights(BODY_HEIGHTS)
    jobs, normal = [], []
    for split in SPLITS:
        for clip in (f"{split}/{file.stem}" for file in sorted((TENSORS / split).glob("*.json"))):
            if split == "train" and clip not in left_out:
                continue  # the only model has learned from it
            opened, hashes = members[left_out[clip]] if clip in left_out else ensemble
            stems = [TENSORS / clip, REGIONS / clip, FLOW / clip]
            height = heights.of(camera := cameras[clip], read_card(TENSORS / clip)["frame"][0])
            also = [*hashes, camera, height.hash]
            jobs.append(Job.on(clip, stems, tuple(opened), params, camera, height, also=also))
            if split != "test":
                normal.append((clip, (tuple(opened), params, camera, height), also))
    each_clip(run, measure_clip, jobs, ERRORS, parallel=False)  # torch already uses all cores
    _measure_pictures(run, normal)


def _measure_pictures(run: stage.Run, normal: Sequence[tuple[str, tuple[Any, ...], list[str]]]) -> None:
    """Measures frames of normal clips, given with arguments of the work function and hashes of inputs."""
    _, flow, flow_params = run.choice("flow", FlowParams)
    preprocess, mode_class, mode_params = run.choice("preprocess", PreprocessParams)
    window = run.params(f"model.{run.params('model', ModelName).name}.window", WindowParams)
    resize = run.params("resize", ResizeParams)
    mode: RegionMode = mode_class(mode_params, preprocess.foreground)
    hashes = mode.prepare(run.cache)
    jobs = []
    try:
        before = flow(flow_params), mode.for_pictures(), resize, window
    except UserError as e:
        run.log(f"single pictures cannot be judged: {e}")
    else:
        for clip, arguments, also in normal:
            jobs.append(Job.on(clip, [FRAMES / clip], *before, *arguments, also=[*hashes, *also]))
    each_clip(run, measure_pictures, jobs, PICTURES, label="measure pictures", parallel=False)
    if not jobs:  # DVC warns of empty folders
        (PICTURES / "none.txt").write_text("No frame was measured as a picture.\n", "utf-8")


if __name__ == "__main__":
    tensors = [TENSORS / split for split in SPLITS]
    of_clips = [MANIFEST, *tensors, FOLDS, REGIONS, BODY_HEIGHTS, FLOW, FRAMES]
    stage.run(main, __doc__, reads=[*of_clips, AUTOENCODER, STATISTICS])
