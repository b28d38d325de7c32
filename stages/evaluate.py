"""Compares the scores of the test clips with their labels: metrics, tables, pictures and plot data.

In: data/manifest.csv, data/labels.csv, data/masks/, data/frames/ (their times, and pictures), data/errors/,
models/calibration.json, the file that evaluate.identity names. Out: reports/evaluation/.
"""

import shutil
from pathlib import Path

from vad import clips, evaluation, identity, locating, metrics, pooling, scoring, stage

MANIFEST, LABELS, MASKS = Path("data/manifest.csv"), Path("data/labels.csv"), Path("data/masks")
FRAMES, ERRORS, CALIBRATION = Path("data/frames"), Path("data/errors"), Path("models/calibration.json")
EVALUATION = Path("reports/evaluation")


def main(run: stage.Run) -> None:
    params = run.params("evaluate", metrics.EvaluateParams)
    calibration = scoring.Calibration.load(CALIBRATION)
    tested = [clip for clip in clips.available(MANIFEST, FRAMES) if clip.split == "test"]
    errors = pooling.read_errors(ERRORS, {clip.clip: clip.camera for clip in tested})
    for camera in calibration.unknown(clip.camera for clip in tested):
        run.log(f"camera {camera!r} has no validation clips, so it is calibrated by those of all cameras")
    tracks = {found.clip: set(found.table["track"].tolist()) for found in errors}
    who = identity.read(run.reads(Path(params.identity)), clips.read_manifest(MANIFEST), tracks)
    scored = evaluation.score_clips(tested, clips.read_labels(LABELS), FRAMES, errors, calibration, who)
    result = evaluation.evaluate(scored, calibration, params)
    result |= locating.locate(scored, calibration, MASKS, params)
    shutil.rmtree(EVALUATION, ignore_errors=True)
    evaluation.write(EVALUATION, scored, calibration, params, result)
    locating.draw(EVALUATION / "heatmaps", scored, calibration, FRAMES, MASKS)
    run.log(evaluation.headline(result))


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, LABELS, MASKS, FRAMES, ERRORS, CALIBRATION])
