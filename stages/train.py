"""Fits the autoencoder that model.name names to normal windows.

In: data/tensors/train, data/tensors/val. Out: models/autoencoder/, reports/training/ (loss per epoch).
Speed goes to reports/throughput.csv, which nobody keeps. An interrupted training goes on after its last
epoch. Several GPUs: train.devices; several machines: the same with `torchrun … -m stages.train` on each.
"""

import shutil
from pathlib import Path

from vad import models
from vad.pipeline import stage
from vad.training import fit
from vad.windows import dataset

TRAIN, VAL = Path("data/tensors/train"), Path("data/tensors/val")
AUTOENCODER, REPORTS = Path("models/autoencoder"), Path("reports/training")
THROUGHPUT = Path("reports/throughput.csv")


def main(run: stage.Run) -> None:
    choice, _, own = run.choice("model", models.ModelChoice)
    params = run.params("train", fit.TrainParams)
    train, val = dataset.Windows(TRAIN), dataset.Windows(VAL)
    fit.fix_seed(params.seed)  # before the weights are drawn
    model = models.create(choice.name, own, train.shape, train.channels)
    run.log(f"{model.describe()} on {len(train)} windows, {len(val)} for validation")
    best = fit.fit(model, train, val, params, REPORTS, THROUGHPUT, run.cache, run.log, run.afterwards)
    if best is None:  # a helper process of a distributed run
        return
    run.log(f"kept epoch {best['epoch'] + 1}, validation loss {best['val_loss']:.6f}")
    shutil.rmtree(AUTOENCODER, ignore_errors=True)
    models.save(model, AUTOENCODER, best=best)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[TRAIN, VAL])
