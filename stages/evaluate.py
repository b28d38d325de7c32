"""Compares the scores of the test clips with their labels: metrics, tables and plot data.

In: data/manifest.csv, data/labels.csv, data/frames/ (source frame of each frame), data/errors/,
models/calibration.json. Out: reports/evaluation/.
"""

from pathlib import Path

from vad import clips, evaluation, metrics, scoring, stage

MANIFEST, LABELS, FRAMES = Path("data/manifest.csv"), Path("data/labels.csv"), Path("data/frames")
ERRORS, CALIBRATION = Path("data/errors"), Path("models/calibration.json")
EVALUATION = Path("reports/evaluation")


def main(run: stage.Run) -> None:
    params = run.params("evaluate", metrics.EvaluateParams)
    calibration = scoring.Calibration.load(CALIBRATION)
    tested = [clip for clip in clips.available(MANIFEST, FRAMES) if clip.split == "test"]
    scored = evaluation.score_clips(tested, clips.read_labels(LABELS), FRAMES, ERRORS, calibration)
    result = evaluation.evaluate(scored, calibration, params)
    evaluation.write(EVALUATION, scored, calibration, params, result)
    run.log(evaluation.headline(result))


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, LABELS, FRAMES, ERRORS, CALIBRATION])
