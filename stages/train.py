"""Trains the autoencoder set by model.name on normal windows.

In: data/tensors/train, data/tensors/val. Out: models/autoencoder/, reports/training/ (loss per epoch).
Training speed goes to reports/throughput.csv, which neither git nor DVC keeps. An interrupted training
resumes after its last finished epoch. Several GPUs: train.devices; several machines: train.num_nodes, with
`torchrun … -m stages.train` on each.
"""

import shutil
from pathlib import Path

from vad.models import ModelParams, create, save
from vad.pipeline import stage
from vad.training.fit import fit, fix_seed
from vad.training.params import TrainParams
from vad.windows.dataset import Windows

TRAIN, VAL = Path("data/tensors/train"), Path("data/tensors/val")
AUTOENCODER, REPORTS = Path("models/autoencoder"), Path("reports/training")
THROUGHPUT = Path("reports/throughput.csv")


def main(run: stage.Run) -> None:
    choice, _, model_params = run.choice("model", ModelParams)
    params = run.params("train", TrainParams)
    train, val = Windows(TRAIN), Windows(VAL)
    fix_seed(params.seed)  # before `create`, which draws the initial weights
    model = create(choice.name, model_params, train.shape, train.channels)
    run.log(f"{model.describe()} on {len(train)} windows, {len(val)} for validation")
    best = fit(model, train, val, params, REPORTS, THROUGHPUT, run.cache, run.log, run.afterwards)
    if best is None:  # not the first process of a distributed run, which alone saves the model
        return
    run.log(f"kept epoch {best['epoch'] + 1}, validation loss {best['val_loss']:.6f}")
    shutil.rmtree(AUTOENCODER, ignore_errors=True)
    save(model, AUTOENCODER, best=best)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[TRAIN, VAL])
