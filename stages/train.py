"""Trains the autoencoder set by model.name on normal windows, one per fold.

In: data/tensors/train, data/tensors/val, data/tensors/folds.csv. Out: models/autoencoder/, a folder per fold
(without folds 0 alone); reports/training/ (loss per epoch). Training speed goes to reports/throughput.csv,
which neither git nor DVC keeps. An interrupted training resumes after its last finished epoch. Without folds:
several GPUs by train.devices; several machines by train.num_nodes, with `torchrun … -m stages.train` on each.
"""

import os
from pathlib import Path

from vad.models import ModelParams
from vad.pipeline import stage
from vad.pipeline.compute_params import ComputeParams
from vad.store.manifest import read_folds
from vad.training.folds import Training, fold_clips, train_folds
from vad.training.params import TrainParams

TRAIN, VAL, FOLDS = Path("data/tensors/train"), Path("data/tensors/val"), Path("data/tensors/folds.csv")
AUTOENCODER, REPORTS = Path("models/autoencoder"), Path("reports/training")
THROUGHPUT = Path("reports/throughput.csv")


def main(run: stage.Run) -> None:
    choice, _, model_params = run.choice("model", ModelParams)
    params = run.params("train", TrainParams)
    workers = run.params("compute", ComputeParams).workers
    training = Training(choice.name, model_params, params, REPORTS, THROUGHPUT, run.cache)
    parts = fold_clips(TRAIN, VAL, read_folds(FOLDS))
    number = os.cpu_count() or 1 if workers == "auto" else workers
    train_folds(parts, training, AUTOENCODER, number, run.log, run.afterwards)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[TRAIN, VAL, FOLDS])
