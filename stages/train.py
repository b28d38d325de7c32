"""Fits the autoencoder that model.name names to normal windows.

In: data/tensors/train, data/tensors/val. Out: models/autoencoder/, reports/training/history.csv.
"""

import shutil
from pathlib import Path

from vad import models, stage, training, windows

TRAIN, VAL = Path("data/tensors/train"), Path("data/tensors/val")
AUTOENCODER, HISTORY = Path("models/autoencoder"), Path("reports/training/history.csv")


def main(run: stage.Run) -> None:
    choice, _, own = run.choice("model", models.ModelChoice)
    params = run.params("train", training.TrainParams)
    train, val = windows.Windows(TRAIN), windows.Windows(VAL)
    training.fix_seed(params.seed)  # before the weights are drawn
    model = models.create(choice.name, own, train.shape)
    run.log(f"{model.describe()} on {len(train)} windows, {len(val)} for validation")
    best = training.fit(model, train, val, params, HISTORY, run.cache / "checkpoints", run.log)
    run.log(f"kept epoch {best['epoch'] + 1}, validation loss {best['val_loss']:.6f}")
    shutil.rmtree(AUTOENCODER, ignore_errors=True)
    models.save(model, AUTOENCODER, channels=train.channels, best=best)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[TRAIN, VAL])
