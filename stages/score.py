"""Runs the autoencoder over the validation and test clips: the error of every window, maps where asked for.

In: data/tensors/val, data/tensors/test, data/regions/ (the boxes), models/autoencoder/. Out: data/errors/.
"""

from pathlib import Path

from vad import clip_errors, clipwise, inference, models, stage

TENSORS, REGIONS, ERRORS = Path("data/tensors"), Path("data/regions"), Path("data/errors")
AUTOENCODER = Path("models/autoencoder")


def main(run: stage.Run) -> None:
    params = run.params("score", inference.ScoreParams)
    compute = run.params("compute", clipwise.ComputeParams)
    model, card = models.load(AUTOENCODER)
    weights = models.fingerprint(AUTOENCODER)
    names = [
        f"{split}/{f.stem}" for split in ("val", "test") for f in sorted((TENSORS / split).glob("*.json"))
    ]
    jobs = [
        clipwise.Job.on(name, [TENSORS / name, REGIONS / name], model, params, also=[weights])
        for name in names
    ]
    clipwise.run(
        clip_errors.score_clip,
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
    stage.run(main, __doc__, reads=[TENSORS / "val", TENSORS / "test", REGIONS, AUTOENCODER])
