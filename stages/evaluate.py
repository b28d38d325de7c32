"""Compares the scores of the test clips with their labels: metrics, tables and plot data.

In: data/manifest.csv, data/labels.csv, data/frames/ (source frame of each frame), data/errors/,
models/calibration.json, the file that evaluate.identity names. Out: reports/evaluation/.
"""

from pathlib import Path

from vad import clips, evaluation, identity, metrics, scoring, stage

MANIFEST, LABELS, FRAMES = Path("data/manifest.csv"), Path("data/labels.csv"), Path("data/frames")
ERRORS, CALIBRATION = Path("data/errors"), Path("models/calibration.json")
EVALUATION = Path("reports/evaluation")


def main(run: stage.Run) -> None:
    params = run.params("evaluate", metrics.EvaluateParams)
    calibration = scoring.Calibration.load(CALIBRATION)
    tested = [clip for clip in clips.available(MANIFEST, FRAMES) if clip.split == "test"]
    errors = scoring.read_errors(ERRORS, [clip.clip for clip in tested])
    tracks = {found.clip: set(found.table["track"].tolist()) for found in errors}
    who = identity.read(run.reads(Path(params.identity)), clips.read_manifest(MANIFEST), tracks)
    scored = evaluation.score_clips(tested, clips.read_labels(LABELS), FRAMES, errors, calibration, who)
    result = evaluation.evaluate(scored, calibration, params)
    evaluation.write(EVALUATION, scored, calibration, params, result)
    run.log(evaluation.headline(result))


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, LABELS, FRAMES, ERRORS, CALIBRATION])
