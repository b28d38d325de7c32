"""Fits standardisation and threshold to the errors of normal clips from which the models did not learn.

In: data/manifest.csv (cameras, folds), data/errors/ (normal clips only), data/picture_errors/.
Out: models/calibration.json.
"""

from dataclasses import replace
from pathlib import Path

from vad.pipeline import stage
from vad.scoring.calibrate import calibrate
from vad.scoring.clip_errors import read_errors
from vad.scoring.evidence import sentences, warning
from vad.scoring.params import CalibrateParams
from vad.scoring.pictures import calibrate_pictures
from vad.store import manifest

MANIFEST, ERRORS = Path("data/manifest.csv"), Path("data/errors")
PICTURES = Path("data/picture_errors")
CALIBRATION = Path("models/calibration.json")
NORMAL = ("train", "val")


def main(run: stage.Run) -> None:
    params = run.params("calibrate", CalibrateParams)
    # without folds, only validation clips have errors
    clips = manifest.measured(MANIFEST, ERRORS, *NORMAL)
    normal = read_errors(ERRORS, {clip.clip: clip.camera for clip in clips})
    as_pictures = manifest.measured(MANIFEST, PICTURES, *NORMAL)
    pictures = read_errors(PICTURES, {clip.clip: clip.camera for clip in as_pictures})
    folds = len({clip.fold for clip in clips})  # without folds, all clips have -1
    calibration = replace(calibrate(normal, params, run.log), folds=folds)
    of_pictures: list[str] = []  # said after what is said of videos
    if (picture := calibrate_pictures(pictures, params, of_pictures.append)) is not None:
        calibration = replace(calibration, picture=replace(picture, folds=folds))
    calibration.save(CALIBRATION)
    empty = sum(int((clip.counts() == 0).sum()) for clip in normal)
    run.log(
        f"threshold {calibration.threshold:.4f} ({params.threshold.policy}) from {calibration.frames} normal "
        f"frames in {len(normal)} clip{'s' * (len(normal) != 1)}, branches {', '.join(calibration.branches)}"
        + (f"; frames without regions: {empty}" if empty else "")
    )
    if calibration.border_gains:
        gains = ", ".join(f"{branch} {gain:.2f}" for branch, gain in calibration.border_gains.items())
        run.log(f"errors of regions at the border of the frame are divided by: {gains}")
    for line in sentences(calibration.evidence):
        run.log(line)
    if (text := warning(calibration.evidence)) is not None:
        run.log(f"WARNING: {text}")
    for line in of_pictures:
        run.log(line)
    run.log(
        f"live scores come {calibration.lookahead} frames ({calibration.delay:.2f} s) after their frame"
        if calibration.lookahead
        else "live scores need no frames ahead"
    )


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, ERRORS, PICTURES])
