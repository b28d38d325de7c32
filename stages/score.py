"""Runs the autoencoder over the validation and test clips: the error of every window.

In: data/tensors/val, data/tensors/test, models/autoencoder/. Out: data/errors/.
"""

from pathlib import Path

from vad import clipwise, inference, models, stage

TENSORS, AUTOENCODER, ERRORS = Path("data/tensors"), Path("models/autoencoder"), Path("data/errors")


def main(run: stage.Run) -> None:
    params = run.params("score", inference.ScoreParams)
    compute = run.params("compute", clipwise.ComputeParams)
    model, card = models.load(AUTOENCODER)
    weights = models.fingerprint(AUTOENCODER)
    stems = [f.with_suffix("") for split in ("val", "test") for f in sorted((TENSORS / split).glob("*.json"))]
    jobs = [
        clipwise.Job.on(f"{stem.parent.name}/{stem.name}", [stem], model, params, also=[weights])
        for stem in stems
    ]
    clipwise.run(
        inference.score_clip,
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
    stage.run(main, __doc__, reads=[TENSORS / "val", TENSORS / "test", AUTOENCODER])
