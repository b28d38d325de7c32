"""Reads the footage below data.root in the layout data.format; writes the manifest, labels and masks.

data/manifest.csv  a row per clip: split, camera, subject, frames used, frame rate, size, content hash
data/labels.csv    a row per anomalous interval: clip, start, end (source frames from 0, end exclusive)
data/skipped.csv   clips that could not be read, with the reason (only with data.on_error: skip)
data/masks/        anomalous pixels of the clips that have masks, packed to bits; a note if no clip has masks
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from vad import UserError
from vad.footage.contents import left_out, refuse_linked, unreadable, walk
from vad.footage.extract_params import ExtractParams
from vad.footage.pictures import PictureFormat
from vad.footage.survey import survey
from vad.layouts import DataParams, open_root
from vad.pipeline import stage
from vad.pipeline.compute_params import ComputeParams
from vad.pipeline.params import load
from vad.scoring.normal_footage import NormalFootage
from vad.scoring.params import CalibrateParams
from vad.store import manifest

MANIFEST = Path("data/manifest.csv")
LABELS = Path("data/labels.csv")
SKIPPED = Path("data/skipped.csv")
MASKS = Path("data/masks")


def main(run: stage.Run) -> None:
    data, layout, params = run.choice("data", DataParams)
    workers = run.params("compute", ComputeParams).workers
    root = run.reads(Path(data.root))
    # outputs are written here and moved at the end, so that an error leaves the earlier outputs intact
    part = MASKS.with_name("ingest.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / MASKS.name).mkdir(parents=True)
        open_root(root)
        contents = walk(root)
        refuse_linked(contents)
        for line in unreadable(contents):
            run.log(line)
        reader = layout(params)
        clips = reader.read(root)
        for line in left_out(contents, clips, reader.auxiliary_files()):
            run.log(line)
        result = survey(
            clips,
            root,
            masks_to=part / MASKS.name,
            memory=run.cache / "footage.json",
            val_fraction=data.val_fraction,
            folds=data.folds,
            on_error=data.on_error,
            allow_anomalous_train=data.allow_anomalous_train,
            pictures=PictureFormat(data.fps or layout.picture_fps, data.bits),
            workers=None if workers == "auto" else workers,
            log=run.log,
        )
        if not any((part / MASKS.name).iterdir()):  # DVC warns of empty folders, in each stage that uses them
            (part / MASKS.name / "none.txt").write_text("No clip of this footage has masks.\n", "utf-8")
        manifest.write_manifest(part / MANIFEST.name, result.clips)
        manifest.write_labels(part / LABELS.name, result.labels)
        manifest.write_skipped(part / SKIPPED.name, result.skipped)
        shutil.rmtree(MASKS, ignore_errors=True)
        for output in (MASKS, MANIFEST, LABELS, SKIPPED):
            (part / output.name).replace(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    tell_amount(run, result.clips)


def tell_amount(run: stage.Run, clips: Sequence[manifest.Clip]) -> None:
    """Logs how much normal footage there is for the threshold, and a warning if that is too little."""
    try:
        # only for messages, so DVC tracks neither section here
        threshold, fps = load("calibrate", CalibrateParams).threshold, load("extract", ExtractParams).fps
    except UserError:
        return  # which the stages refuse that use these sections
    footage = NormalFootage(clips, fps)
    for line in footage.sentences(threshold):
        run.log(line)
    if (shortage := footage.shortage(threshold)) is not None:
        run.log(f"WARNING: {shortage}")


if __name__ == "__main__":
    stage.run(main, __doc__)
