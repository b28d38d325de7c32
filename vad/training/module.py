"""The autoencoder as Lightning trains it: loaders, steps, optimiser, schedule."""

import math

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from vad.models import Autoencoder, to_input
from vad.training.batches import Batch, Order, loader
from vad.training.failures import diverged
from vad.training.losses import loss, motion_weight
from vad.training.params import TrainParams
from vad.training.pseudo_anomalies import Altered
from vad.windows.dataset import Windows


class TrainingModule(lightning.LightningModule):
    """Trains with AdamW, the schedule of `train.schedule` and the loss of `vad.training.losses`.

    Args:
        model: the model to train, in place.
        train: training windows.
        val: validation windows.
        params: the section `train`.

    Attributes:
        last_loss: loss of the last training batch, a scalar on the training device.
    """

    def __init__(self, model: Autoencoder, train: Windows, val: Windows, params: TrainParams):
        super().__init__()
        self.model, self.params = model, params
        self._train_windows, self._val_windows = train, val
        self.last_loss = torch.zeros(())

    def train_dataloader(self) -> DataLoader[Batch]:
        order = self._order(self._train_windows, self.params.seed)
        return loader(self._train_windows, order, self.params.pseudo)

    def val_dataloader(self) -> DataLoader[Batch]:
        return loader(self._val_windows, self._order(self._val_windows, None))

    def _order(self, windows: Windows, seed: int | None) -> Order:
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        return Order(len(windows), self.params.batch_size, seed, rank, processes)

    def on_train_epoch_start(self) -> None:
        # a resumed training must draw the same random numbers in this epoch as an uninterrupted training
        seeds = np.random.SeedSequence((self.params.seed, self.current_epoch, self.trainer.global_rank))
        torch.manual_seed(int(seeds.generate_state(1)[0]))

    def training_step(self, batch: Batch, number: int) -> Tensor:
        value = self._loss(batch)
        if not torch.isfinite(value.detach()):
            where = f"epoch {self.current_epoch + 1}, batch {number + 1}"
            raise diverged(f"training loss became {value.item()} in {where}", self.params)
        self.last_loss = value.detach()
        self._log_mean("train_loss", value, batch)
        return value * batch.weight

    def validation_step(self, batch: Batch, number: int) -> None:
        self._log_mean("val_loss", self._loss(batch), batch)

    def _log_mean(self, name: str, value: Tensor, batch: Batch) -> None:
        """Adds a batch to the mean over the windows of the epoch."""
        # a batch of weight 0 only keeps this process in step; another process counts its window
        count = float(len(batch.windows)) if batch.weight else 0.0
        several = self.trainer.world_size > 1
        self.log(
            name,
            value,
            on_step=False,
            on_epoch=True,
            batch_size=count,  # type: ignore[arg-type]  # an int would be averaged over processes with //
            sync_dist=several,
        )

    def _loss(self, batch: Batch) -> Tensor:
        x = to_input(batch.windows, self.device)
        if batch.pseudo is None:
            return self._difference(x, x) + self.model.penalty()
        if self.params.pseudo.goal == "restore":
            inputs = torch.from_numpy(batch.pseudo.inputs).to(self.device)
            return self._difference(inputs, x) + self.model.penalty()
        return self._repelling_loss(batch.pseudo)

    def _repelling_loss(self, pseudo: Altered) -> Tensor:
        """Loss of the normal windows minus loss of the altered windows, each times its share of the batch."""
        inputs = torch.from_numpy(pseudo.inputs).to(self.device)
        total = inputs.new_zeros(())
        for rows, sign in ((~pseudo.altered, 1), (pseudo.altered, -1)):
            if rows.any():
                part = inputs[torch.from_numpy(rows).to(self.device)]
                share = float(rows.mean())
                total = total + sign * share * self._difference(part, part) + share * self.model.penalty()
        return total

    def _difference(self, inputs: Tensor, x: Tensor) -> Tensor:
        """The loss without the penalty, for the output from `inputs` against the target of `x`.

        Args:
            inputs: windows that the model gets, float32 (B, C, T, h, w).
            x: normal windows, of the same shape.
        """
        weight = None
        if self.params.motion_weight:
            weight = motion_weight(x, self.model.channels, self.params.motion_weight)
            # a model that predicts outputs the last frames only
            weight = weight[:, :, self.model.shape[1] - self.model.output_shape[1] :]
        output = self.model(inputs)
        return loss(output, self.model.target(x), self.params.loss, weight)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        params = self.params
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        # fused is faster (a single pass over all weights), but Lightning cannot clip bf16 gradients with it
        fused = params.clip_gradient is None or params.precision == 32
        adam = torch.optim.AdamW(
            trainable, params.learning_rate, weight_decay=params.weight_decay, fused=fused
        )
        if params.schedule == "constant":
            return {"optimizer": adam}
        if params.schedule == "plateau":
            plateau = lr_scheduler.ReduceLROnPlateau(
                adam, factor=params.lr_factor, patience=params.lr_patience
            )
            return {"optimizer": adam, "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"}}
        steps = math.ceil(len(self._order(self._train_windows, 0)) / params.accumulate)
        shape = Cosine(params.warmup_epochs * steps, params.epochs * steps)
        cosine = lr_scheduler.LambdaLR(adam, shape)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}


class Cosine:
    """Factor of the learning rate by step: rises linearly, then falls as half a cosine to 0.

    Loshchilov & Hutter, ICLR 2017, without restarts; warm-up as in Goyal et al., 2017.

    Args:
        warmup_steps: number of steps over which the factor rises.
        steps: number of steps of the whole training.
    """

    def __init__(self, warmup_steps: float, steps: int):
        self.warmup_steps, self.steps = warmup_steps, steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        falling = max(1, self.steps - self.warmup_steps)
        return 0.5 + 0.5 * math.cos(math.pi * (step - self.warmup_steps) / falling)
