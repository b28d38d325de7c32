"""Learns from the errors of normal validation clips what is normal, and sets the threshold.

In: data/errors/ (val clips alone are read). Out: models/calibration.json.
"""

from pathlib import Path

from vad import scoring, stage

ERRORS, CALIBRATION = Path("data/errors"), Path("models/calibration.json")


def main(run: stage.Run) -> None:
    params = run.params("calibrate", scoring.CalibrateParams)
    names = sorted(f"val/{p.stem}" for p in (ERRORS / "val").glob("*.parquet"))  # maps have a .json too
    normal = scoring.read_errors(ERRORS, names)
    calibration = scoring.calibrate(normal, params)
    calibration.save(CALIBRATION)
    empty = sum(int((clip.counts() == 0).sum()) for clip in normal)
    run.log(
        f"threshold {calibration.threshold:.4f}: {params.percentile:g} % of {calibration.frames} "
        f"normal frames in {len(normal)} clips lie below"
        + (f"; nothing was found in {empty}" if empty else "")
    )


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[ERRORS])
