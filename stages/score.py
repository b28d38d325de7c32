"""Runs the autoencoder over the validation and test clips: the error of every window, and maps.

In: data/tensors/val, data/tensors/test, data/regions/ (boxes, and what a detector holds them for), data/flow/
(speed), models/autoencoder/, models/novelty/. Out: data/errors/.
"""

from pathlib import Path

from vad import models
from vad.branches import classes, measure, reconstruction
from vad.pipeline import clipwise, stage

TENSORS, REGIONS, FLOW = Path("data/tensors"), Path("data/regions"), Path("data/flow")
ERRORS = Path("data/errors")
AUTOENCODER, NOVELTY = Path("models/autoencoder"), Path("models/novelty")


def main(run: stage.Run) -> None:
    params = run.params("score", reconstruction.ScoreParams)
    compute = run.params("compute", clipwise.ComputeParams)
    model, card = models.load(AUTOENCODER)
    usual = classes.load(NOVELTY)
    weights = [models.fingerprint(AUTOENCODER), classes.fingerprint(NOVELTY)]
    names = [
        f"{split}/{f.stem}" for split in ("val", "test") for f in sorted((TENSORS / split).glob("*.json"))
    ]
    jobs = [
        clipwise.Job.on(
            name,
            [TENSORS / name, REGIONS / name, FLOW / name],
            model,
            usual,
            params,
            also=weights,
        )
        for name in names
    ]
    clipwise.run(
        measure.score_clip,
        jobs,
        ERRORS,
        params=params,
        cache=run.cache,
        compute=compute,
        label="score",
        parallel=False,  # torch uses all cores by itself
        modules=[f"vad.models.{card['name']}"],
    )


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[TENSORS / "val", TENSORS / "test", REGIONS, FLOW, AUTOENCODER, NOVELTY])
