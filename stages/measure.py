"""Measures the errors of the normal and test clips: one per branch and region or cell.

With folds, each normal clip is measured by the models that did not learn from it, and test clips by all
models, whose errors are averaged. Without folds, only validation and test clips are measured.

In: data/manifest.csv (cameras), data/tensors/, data/regions/, data/body_height.json, data/flow/,
data/zones.yaml; models/autoencoder/, models/branches/. Out: data/errors/.
"""

from pathlib import Path

from vad import UserError
from vad.branches.ensemble import open_members, trained_folds
from vad.branches.measure import measure_clip
from vad.branches.params import BranchesParams, MeasureParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.store.body_heights import read_body_heights
from vad.store.cards import read_card
from vad.store.manifest import read_folds, read_manifest
from vad.store.zones import read_zones

TENSORS, REGIONS, FLOW = Path("data/tensors"), Path("data/regions"), Path("data/flow")
MANIFEST, BODY_HEIGHTS = Path("data/manifest.csv"), Path("data/body_height.json")
ZONES = Path("data/zones.yaml")
FOLDS = TENSORS / "folds.csv"
AUTOENCODER, STATISTICS = Path("models/autoencoder"), Path("models/branches")
ERRORS = Path("data/errors")
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
    heights, zones = read_body_heights(BODY_HEIGHTS), read_zones(ZONES)
    zones.require({*cameras.values()}, ZONES)
    jobs = []
    for split in SPLITS:
        for clip in (f"{split}/{file.stem}" for file in sorted((TENSORS / split).glob("*.json"))):
            if split == "train" and clip not in left_out:
                continue  # the only model has learned from it
            opened, hashes = members[left_out[clip]] if clip in left_out else ensemble
            stems = [TENSORS / clip, REGIONS / clip, FLOW / clip]
            height = heights.of(camera := cameras[clip], read_card(TENSORS / clip)["frame"][0])
            of_camera = zones.of(camera)
            also = [*hashes, camera, height.hash, of_camera.hash]
            parts = (tuple(opened), params, camera, height, of_camera)
            jobs.append(Job.on(clip, stems, *parts, also=also))
    each_clip(run, measure_clip, jobs, ERRORS, parallel=False)  # torch already uses all cores


if __name__ == "__main__":
    tensors = [TENSORS / split for split in SPLITS]
    of_clips = [MANIFEST, *tensors, FOLDS, REGIONS, BODY_HEIGHTS, FLOW, ZONES]
    stage.run(main, __doc__, reads=[*of_clips, AUTOENCODER, STATISTICS])
