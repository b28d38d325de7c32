"""Compares the scores of the test clips with their labels: metrics, tables, pictures and plot data.

In: data/manifest.csv, data/labels.csv, data/masks/, data/frames/ (their times, and pictures), data/errors/,
models/calibration.json, the file that evaluate.identity names. Out: reports/evaluation/.
"""

import shutil
from pathlib import Path

from vad.evaluation import evaluate, frame_metrics, identity, localisation
from vad.pipeline import stage
from vad.scoring import pooling
from vad.scoring.calibration import Calibration
from vad.store import manifest

MANIFEST, LABELS, MASKS = Path("data/manifest.csv"), Path("data/labels.csv"), Path("data/masks")
FRAMES, ERRORS, CALIBRATION = Path("data/frames"), Path("data/errors"), Path("models/calibration.json")
EVALUATION = Path("reports/evaluation")


def main(run: stage.Run) -> None:
    params = run.params("evaluate", frame_metrics.EvaluateParams)
    calibration = Calibration.load(CALIBRATION)
    tested = [clip for clip in manifest.available(MANIFEST, FRAMES) if clip.split == "test"]
    errors = pooling.read_errors(ERRORS, {clip.clip: clip.camera for clip in tested})
    for camera in calibration.unknown(clip.camera for clip in tested):
        run.log(f"camera {camera!r} has no validation clips, so it is calibrated by those of all cameras")
    tracks = {found.clip: set(found.table["track"].tolist()) for found in errors}
    who = identity.read(run.reads(Path(params.identity)), manifest.read_manifest(MANIFEST), tracks)
    scored = evaluate.score_clips(tested, manifest.read_labels(LABELS), FRAMES, errors, calibration, who)
    result = evaluate.evaluate(scored, calibration, params)
    result |= localisation.locate(scored, calibration, MASKS, params)
    shutil.rmtree(EVALUATION, ignore_errors=True)
    evaluate.write(EVALUATION, scored, calibration, params, result)
    localisation.draw(EVALUATION / "heatmaps", scored, calibration, FRAMES, MASKS)
    run.log(evaluate.headline(result))


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, LABELS, MASKS, FRAMES, ERRORS, CALIBRATION])
