"""Fits an autoencoder to normal windows."""

import hashlib
import json
import logging
import platform
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch

from vad import UserError, models
from vad.models import Autoencoder, ModelChoice
from vad.pipeline import closure
from vad.pipeline.params import Field, Section, load, load_choice
from vad.pipeline.stage import is_first_process
from vad.store import cards
from vad.training import initial_weights, losses, pseudo_anomalies
from vad.training.checkpoints import Checkpoints
from vad.windows.dataset import Windows
from vad.windows.spec import ResizeParams

# Lightning takes seconds to import, so only those who train do (inside `fit`)

ADAPT_TO = 4096  # windows that a model is shown before training, spread evenly


class TrainParams(Section):
    """`train`: every key is explained in docs/parameters.md."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulate: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    schedule: Literal["constant", "plateau", "cosine"]
    lr_patience: int = Field(ge=0)
    lr_factor: float = Field(gt=0, lt=1)
    warm_up: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    clip_gradient: float | None = Field(gt=0)
    early_stopping: int = Field(ge=1)
    loss: losses.LossParams
    motion_weight: float = Field(ge=0)
    pseudo: pseudo_anomalies.PseudoParams
    init_from: str | None
    seed: int = Field(ge=0, lt=2**32)
    precision: Literal[32, "bf16-mixed"]
    compile: bool
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: Annotated[int, Field(ge=1)] | Literal["auto"]
    num_nodes: int = Field(ge=1)
    strategy: Literal["auto", "ddp"]

    def verify(self, raw: dict[str, Any]) -> None:
        """Whether the model can be built for the tensors, and trained in this way."""
        resize = load("resize", ResizeParams, raw)
        choice, _, own = load_choice("model", ModelChoice, raw)
        planes = resize.planes(raw["extract"]["color"])
        with torch.device("meta"):  # shapes without memory
            models.create(choice.name, own, (len(planes), own.window, resize.height, resize.width), planes)
        self.need(planes, own.window)
        if self.init_from is not None:
            initial_weights.folder_of(self.init_from)

    def need(self, planes: list[str], window: int) -> None:
        """Raises UserError if windows of these planes cannot be trained on in this way."""
        pseudo_anomalies.need(self.pseudo, planes, window)
        if self.motion_weight:
            losses.need_motion(planes, window)

    def need_plain(self, model: str) -> None:
        """Raises UserError for what only the training loop can do, not the library that fits this model."""
        plain = {"mse": 1.0, "l1": 0.0, "ssim": 0.0, "gradient": 0.0}
        asked = {
            "train.pseudo.kind": self.pseudo.kind != "none",
            "train.motion_weight": self.motion_weight > 0,
            "train.loss": self.loss.model_dump() != plain,
            "train.init_from": self.init_from is not None,
            "train.devices": self.devices not in (1, "auto") or self.num_nodes > 1,
        }
        if names := [name for name, unlike in asked.items() if unlike]:
            raise UserError(
                f"{', '.join(names)}: scikit-learn, which fits the model {model}, cannot do this; set them "
                "back, or set model.name: dense, the same network"
            )


def fix_seed(seed: int) -> None:
    """Seeds every source of random numbers, for the weights that are drawn next."""
    import lightning

    lightning.seed_everything(seed, workers=True, verbose=False)


def fit(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    reports: Path,
    throughput: Path,
    cache: Path,
    log: Callable[[str], None],
    afterwards: Callable[[Callable[[], None]], None] = lambda action: action(),
) -> dict[str, float] | None:
    """Trains `model` in place and leaves it with the weights of the epoch of lowest validation loss.

    AdamW and the schedule that `params` name; training ends early when the validation loss has not fallen
    for `early_stopping` epochs. Writes <reports>/history.csv and steps.csv, and `throughput` (see
    `vad.training.callbacks`). Between epochs the whole state is kept below `cache`/checkpoints: an interrupted
    training goes on from there when the same is asked for again, and ends with the same weights. The state
    is removed by an action handed to `afterwards`, for when the weights have been stored.

    Returns {"epoch": best epoch from 0, "val_loss": its loss}; None in the helper processes of a
    distributed run, which write nothing. Raises UserError if a loss is not a finite number, if memory runs
    out, or if the accelerator is not there.
    """
    params.need(train.channels, train.shape[1])
    if model.fit_at_once is not None:
        params.need_plain(model.name)
    files = {"history": reports / "history.csv", "steps": reports / "steps.csv", "throughput": throughput}
    model.prepare(cache, log)
    if params.init_from is not None:
        initial_weights.start(initial_weights.folder_of(params.init_from), model)
    if model.fit_at_once is not None:
        return _fit_at_once(model, train, val, params, files, log)
    if params.init_from is None and type(model).adapt is not Autoencoder.adapt:
        some = np.unique(np.linspace(0, len(train) - 1, ADAPT_TO).round().astype(int))
        model.adapt(torch.from_numpy(train[some]).float() / 255)
    _advise(params, log)
    what = _what(model, train, val, params)
    if not is_first_process():
        return _run(model, train, val, params, files, None, log)
    with Checkpoints(cache / "checkpoints", what, log) as kept:
        best = _run(model, train, val, params, files, kept, log)
    afterwards(kept.done)
    return best


def _run(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    files: dict[str, Path],
    kept: Checkpoints | None,
    log: Callable[[str], None],
) -> dict[str, float] | None:
    from vad.training.callbacks import History, Keeper
    from vad.training.module import Fitting

    history = History(files, log, first=kept is not None)
    keeper = Keeper(params.early_stopping, history, kept)
    keeper.resumed = kept.load() if kept else None
    if keeper.resumed and keeper.resumed["finished"]:  # it was what came after that failed
        keeper.best, history.rows = keeper.resumed["best"], keeper.resumed["rows"]
        history.begin()
        return _with_best(model, keeper)
    with warnings.catch_warnings():
        # Lightning's own affairs are no user's concern
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", ".*does not have a deterministic implementation.*")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = _trainer(params, [keeper, history])
        # every element is written before it is read, so results repeat without this, which costs time
        torch.utils.deterministic.fill_uninitialized_memory = False
        if params.compile:
            model.compile()
        before = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(Fitting(model, train, val, params))
            if trainer.world_size == 1:  # others could not tell that there is nothing left to do
                keeper.save(trainer, finished=True)
        except SystemExit:  # what Lightning makes of Ctrl-C
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from None
        except UserError as e:
            raise UserError(f"{e}{_keep_best(model, keeper, kept)}") from None
        except (MemoryError, RuntimeError, ValueError) as e:
            if "more than 1 value per channel" in str(e):
                raise UserError(
                    f"batch norm has nothing to compare a window with: {len(train)} windows in batches of "
                    f"{params.batch_size} leave a batch of a single one; change train.batch_size, or make "
                    "resize.height and width larger"
                ) from None
            if not _out_of_memory(e):
                raise
            raise UserError(
                f"out of memory with train.batch_size = {params.batch_size} and {model.describe()}: lower "
                "train.batch_size (train.accumulate makes up for it), resize.height and width, or the model's"
                " channels"
            ) from None
    best = _with_best(model, keeper)
    return best if kept else None


def _with_best(model: Autoencoder, keeper: Any) -> dict[str, float]:
    """Gives the model the weights of the best epoch, and says which that is."""
    model.load_state_dict(keeper.best["weights"])
    model.cpu().eval()
    return {"epoch": keeper.best["epoch"], "val_loss": keeper.best["val_loss"]}


def _trainer(params: TrainParams, callbacks: list) -> Any:
    import lightning
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        return lightning.Trainer(
            max_epochs=params.epochs,
            accelerator=params.accelerator,
            devices=params.devices,
            num_nodes=params.num_nodes,
            strategy=params.strategy,
            precision="32-true" if params.precision == 32 else params.precision,
            accumulate_grad_batches=params.accumulate,
            gradient_clip_val=params.clip_gradient,
            use_distributed_sampler=False,  # `vad.training.batches.Order` shares the windows out
            sync_batchnorm=params.accelerator != "cpu" and torch.cuda.is_available(),  # CPUs cannot
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_checkpointing=False,
            logger=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic="warn",  # some operations have no such form on a GPU
        )
    except (MisconfigurationException, RuntimeError, ValueError) as e:
        reason = str(e).splitlines()[0]
        how = f"train.accelerator = {params.accelerator!r} with train.devices = {params.devices!r}"
        raise UserError(f"{how} cannot be had: {reason}") from None


def _what(model: Autoencoder, train: Windows, val: Windows, params: TrainParams) -> dict[str, Any]:
    """All that decides the result of a training, by names that people know."""
    code = closure.sources(
        "vad.training.fit", "vad.training.module", "vad.training.callbacks", type(model).__module__
    )
    digest = hashlib.blake2b(digest_size=16)
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {
        **{f"train.{key}": value for key, value in params.model_dump(mode="json").items()},
        **{f"model.{model.name}.{key}": v for key, v in model.params.model_dump(mode="json").items()},
        "model.name": model.name,
        "shape of a window": model.shape,
        "planes": model.channels,
        "training data": _data(train),
        "validation data": _data(val),
        "code": _hash([(closure.ROOT / file).read_text("utf-8") for file in sorted(code)]),
        "weights at the start": digest.hexdigest(),
        "version of torch": torch.__version__,
    }


def _data(windows: Windows) -> str:
    return _hash([[name, cards.read_card(windows.folder / name)] for name in windows.names])


def _hash(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def _fit_at_once(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    files: dict[str, Path],
    log: Callable[[str], None],
) -> dict[str, float]:
    """For a model that another library fits: its history has the validation loss of the best epoch alone."""
    import pandas as pd

    from vad.training.callbacks import COLUMNS

    log("it is fitted in one go: nothing is told until it has ended, and it cannot be resumed")
    trained, best = model.fit_at_once(train, params)
    model.eval()
    errors = []
    with torch.inference_mode():
        for start in range(0, len(val), params.batch_size):
            x = (
                torch.from_numpy(val[np.arange(start, min(start + params.batch_size, len(val)))]).float()
                / 255
            )
            errors.append((model(x) - model.target(x)).square().flatten(1).mean(1))
    loss = torch.cat(errors).mean().item()
    if not loss < 1e6:
        raise UserError(
            f"the validation loss is {loss:g}; lower train.learning_rate (now {params.learning_rate:g})"
        )
    rows = {"epoch": range(len(trained)), "train_loss": trained, "val_loss": None}
    history = pd.DataFrame(rows).assign(learning_rate=params.learning_rate)
    history.loc[best, "val_loss"] = loss
    files["history"].parent.mkdir(parents=True, exist_ok=True)
    history.to_csv(files["history"], index=False, float_format="%.8g", lineterminator="\n")
    steps = history.assign(epoch=history["epoch"] + 1, loss=history["train_loss"])[COLUMNS["steps"]]
    steps.to_csv(files["steps"], index=False, float_format="%.8g", lineterminator="\n")
    files["throughput"].unlink(missing_ok=True)
    return {"epoch": best, "val_loss": loss}


def _keep_best(model: Autoencoder, keeper: Any, kept: Checkpoints | None) -> str:
    """Stores the best weights of a training that failed; says where."""
    if kept is None or keeper.best["weights"] is None:
        return ""
    model.load_state_dict(keeper.best["weights"])
    folder = kept.folder / "best"
    models.save(model, folder, best={k: keeper.best[k] for k in ("epoch", "val_loss")})
    return f"; the best weights so far, of epoch {keeper.best['epoch'] + 1}, are in {folder}"


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _advise(params: TrainParams, log: Callable[[str], None]) -> None:
    """Says when the processor would gain from bf16, which is not the default since DVC cannot know it."""
    if params.precision != 32 or params.accelerator == "gpu" or torch.cuda.is_available():
        return
    if platform.system() == "Linux" and {"avx512_bf16", "amx_bf16"} & set(
        Path("/proc/cpuinfo").read_text("utf-8").partition("flags")[2].partition("\n")[0].split()
    ):
        log("this processor computes in bf16: train.precision: bf16-mixed may be faster")
