"""The autoencoder as Lightning wants it: loaders, steps, optimiser, schedule."""

import math

import lightning
import numpy as np
import torch
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from vad import UserError
from vad.branches.reconstruction import to_input
from vad.models import Autoencoder
from vad.pipeline.params import Section
from vad.training.batches import Batch, Order, loader
from vad.training.losses import loss, motion_weight
from vad.windows.dataset import Windows


class Fitting(lightning.LightningModule):
    """One optimiser, one schedule, the loss of `vad.training.losses`. `params`: `TrainParams`."""

    def __init__(self, model: Autoencoder, train: Windows, val: Windows, params: Section):
        super().__init__()
        self.model, self.params, self._windows = model, params, (train, val)

    def train_dataloader(self) -> DataLoader:
        train = self._windows[0]
        return loader(train, self._order(train, self.params.seed), self.params.pseudo)

    def val_dataloader(self) -> DataLoader:
        return loader(self._windows[1], self._order(self._windows[1], None))

    def _order(self, windows: Windows, seed: int | None) -> Order:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return Order(len(windows), self.params.batch_size, seed, rank, world)

    def on_train_epoch_start(self) -> None:
        # an epoch draws the same numbers, whether training came to it or was resumed at it
        seeds = np.random.SeedSequence((self.params.seed, self.current_epoch, self.trainer.global_rank))
        torch.manual_seed(int(seeds.generate_state(1)[0]))

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        found = self._loss(batch)
        if not torch.isfinite(found.detach()):
            epoch = self.current_epoch + 1
            self.refuse(f"training loss became {found.item()} in epoch {epoch}, batch {number + 1}")
        self.last_loss = found.detach()
        self.log("train_loss", found, on_step=False, on_epoch=True, **self._share(batch))
        return found * batch.weight

    def validation_step(self, batch: Batch, number: int) -> None:
        self.log("val_loss", self._loss(batch), **self._share(batch))

    def _share(self, batch: Batch) -> dict:
        """How the means of batches are brought together. A window seen out of courtesy counts for nothing."""
        counted = float(len(batch.windows)) if batch.weight else 1e-9  # of one type in all processes
        return {"batch_size": counted, "sync_dist": self.trainer.world_size > 1}

    def refuse(self, what: str) -> None:
        rate = self.params.learning_rate
        raise UserError(f"the {what}; lower train.learning_rate (now {rate:g})")

    def _loss(self, batch: Batch) -> torch.Tensor:
        x = to_input(batch.windows, self.device)
        if batch.shown is None:
            return self._difference(x, x) + self.model.penalty()
        shown = torch.from_numpy(batch.shown).to(self.device)
        if self.params.pseudo.goal == "restore":
            return self._difference(shown, x) + self.model.penalty()
        total = x.new_zeros(())
        for rows, sign in ((~batch.altered, 1), (batch.altered, -1)):
            if rows.any():
                part = shown[torch.from_numpy(rows).to(self.device)]
                share = float(rows.mean())
                total = total + sign * share * self._difference(part, part) + share * self.model.penalty()
        return total

    def _difference(self, shown: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The loss of windows of which the autoencoder sees `shown` and should make `x`."""
        weight = None
        if self.params.motion_weight:
            every = motion_weight(x, self.model.channels, self.params.motion_weight)
            weight = every[:, :, self.model.shape[1] - self.model.made_shape[1] :]
        made = self.model(shown)
        return loss(made, self.model.target(x), self.params.loss, weight)

    def configure_optimizers(self) -> dict:
        params = self.params
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        # one pass over all weights; where bf16 meets clipping, Lightning wants the optimiser to itself
        fused = params.clip_gradient is None or params.precision == 32
        adam = torch.optim.AdamW(learnt, params.learning_rate, weight_decay=params.weight_decay, fused=fused)
        if params.schedule == "constant":
            return {"optimizer": adam}
        if params.schedule == "plateau":
            schedule = lr_scheduler.ReduceLROnPlateau(
                adam, factor=params.lr_factor, patience=params.lr_patience
            )
            return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}
        steps = math.ceil(len(self._order(self._windows[0], 0)) / params.accumulate)
        schedule = lr_scheduler.LambdaLR(adam, Cosine(params.warm_up * steps, params.epochs * steps))
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Cosine:
    """Share of the learning rate by step: rises linearly, then falls as a half cosine to nothing.

    Loshchilov & Hutter, ICLR 2017, without restarts; warm-up as in Goyal et al., 2017.
    """

    def __init__(self, warm_up: float, steps: int):
        self.warm_up, self.steps = warm_up, steps

    def __call__(self, step: int) -> float:
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        return 0.5 + 0.5 * math.cos(math.pi * (step - self.warm_up) / max(1, self.steps - self.warm_up))
