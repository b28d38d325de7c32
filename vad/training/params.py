"""The section `train` of params.yaml. Imports no torch, so that checking params.yaml is quick."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import field_validator, model_validator

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.windows.planes import FLOW


class LossParams(Section):
    """`train.loss`: the weight of each term (`vad.training.losses`); 0 leaves it out."""

    mse: float = Field(1.0, ge=0, description="weight of the mean squared difference")
    l1: float = Field(1.0, ge=0, description="weight of the mean absolute difference")
    ssim: float = Field(
        0.0,
        ge=0,
        description="weight of 1 - structural similarity; its constants assume values in [0, 1], which the "
        "outputs of cube and dense may exceed",
    )
    gradient: float = Field(
        0.0, ge=0, description="weight of the difference of spatial gradients, which sharpens the output"
    )

    @model_validator(mode="after")
    def _refuse_no_terms(self) -> "LossParams":
        if not any(self.model_dump().values()):
            raise ValueError("all weights are 0, so nothing would be learned; set mse: 1.0")
        return self


class PseudoParams(Section):
    """`train.pseudo`: pseudo-anomalies among the training windows (`vad.training.pseudo_anomalies`)."""

    kind: Literal["none", "skip_frame", "jitter"] = Field(
        "jitter",
        description="how windows are altered: frames further apart (skip_frame) or flow multiplied by a "
        "factor (jitter)",
    )
    goal: Literal["restore", "repel"] = Field(
        "restore",
        description="restore: reconstruct the normal window from the altered window; repel: maximise the "
        "error of altered windows (needs a share below 0.5, better 0.01)",
    )
    share: float = Field(0.5, ge=0, le=1, description="share of the windows of a batch that are altered")
    steps: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)] = Field(
        [2, 3, 4, 5],
        description="skip_frame: factors of the distance between frames; each window draws a factor",
    )
    factors: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)] = Field(
        [1.5, 4.0], description="jitter: lowest and highest factor of the flow"
    )

    @model_validator(mode="after")
    def _keep_normal_windows_dominant(self) -> "PseudoParams":
        if self.kind != "none" and self.goal == "repel" and self.share >= 0.5:
            raise ValueError("goal repel would outweigh what is normal; set share below 0.5, such as 0.01")
        return self

    @field_validator("factors")
    @classmethod
    def _refuse_falling_range(cls, factors: list[float]) -> list[float]:
        if factors[0] > factors[1]:
            raise ValueError("the first must not exceed the second")
        return factors


class TrainParams(Section):
    """`train`"""

    epochs: int = Field(20, ge=1, description="maximum number of epochs; early stopping may end sooner")
    batch_size: int = Field(256, ge=1, description="windows per batch, in each process of a distributed run")
    accumulate: int = Field(
        1, ge=1, description="batches per optimiser step; a large effective batch in little memory"
    )
    learning_rate: float = Field(0.002, gt=0, le=1, description="highest learning rate of AdamW")
    schedule: Literal["constant", "plateau", "cosine"] = Field(
        "cosine",
        description="how the learning rate falls: not at all (constant), when the validation loss stops "
        "falling (plateau), or as half a cosine to 0 (cosine)",
    )
    lr_patience: int = Field(
        3, ge=0, description="plateau: epochs without a lower validation loss before the learning rate falls"
    )
    lr_factor: float = Field(0.5, gt=0, lt=1, description="plateau: factor by which the learning rate falls")
    warmup_epochs: float = Field(
        1.0, ge=0, description="cosine: epochs over which the learning rate first rises linearly"
    )
    weight_decay: float = Field(0.0001, ge=0, description="weight decay of AdamW")
    clip_gradient: float | None = Field(
        None, gt=0, description="maximum norm of the gradients; null for no limit"
    )
    early_stopping: int = Field(
        8, ge=1, description="epochs without a lower validation loss before training ends"
    )
    loss: LossParams = Field(LossParams(), description="weights of the terms of the loss")
    motion_weight: float = Field(
        0.0,
        ge=0,
        description="weight of moving pixels in mse and l1: a pixel has weight 1 + motion_weight * speed, "
        "where speed 1 is flow at its limit or a change from black to white; 0 is off",
    )
    pseudo: PseudoParams = Field(PseudoParams(), description="pseudo-anomalies among the training windows")
    init_from: str | None = Field(
        None,
        description="folder of a stored autoencoder with the initial weights; a copy, since DVC empties "
        "models/autoencoder before training; DVC tracks only the path, so give other weights another path",
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="seed of initial weights, shuffling and pseudo-anomalies"
    )
    precision: Literal[32, "bf16-mixed"] = Field(
        32,
        description="bf16-mixed is faster on a processor or GPU with bf16 instructions (after a training of "
        "more than a minute the log says if the processor has them), and slower elsewhere",
    )
    compile: bool = Field(
        False, description="use torch.compile; it needs a C++ compiler, and is faster only on a GPU"
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(
        "auto", description="where to train; auto uses a GPU if the machine has a GPU"
    )
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1, description="number of GPUs, or of CPU processes, per machine"
    )
    num_nodes: int = Field(
        1, ge=1, description="number of machines; start `torchrun … -m stages.train` on each of them"
    )
    strategy: Literal["auto", "ddp"] = Field(
        "auto", description="how several devices share the work; auto uses ddp if there are several"
    )

    def require(self, planes: Sequence[str], window_frames: int) -> None:
        """Checks that the windows have the planes and frames that these parameters need.

        Args:
            planes: names of the planes of a window, for example gray or flow_x.
            window_frames: number of frames of a window.

        Raises:
            UserError: if pseudo-anomalies or `motion_weight` need other windows.
        """
        has_flow = set(FLOW) <= set(planes)
        if self.pseudo.kind == "jitter" and not has_flow:
            raise UserError("train.pseudo.kind = 'jitter' alters flow; put flow into resize.channels")
        if self.pseudo.kind == "skip_frame" and window_frames < 2:
            raise UserError(
                "train.pseudo.kind = 'skip_frame' needs a model with windows of at least 2 frames"
            )
        if self.motion_weight and window_frames < 2 and not has_flow and "difference" not in planes:
            raise UserError(
                "train.motion_weight needs windows that show motion: a model with a window of 2 frames "
                "or more, or flow or difference in resize.channels"
            )

    def require_one_device(self) -> None:
        """Checks that trainings of folds, which run side by side, are not to be distributed as well.

        Raises:
            UserError: if there are several devices or machines.
        """
        if self.devices != 1 or self.num_nodes != 1:
            raise UserError(
                f"train.devices = {self.devices!r} and train.num_nodes = {self.num_nodes}: folds are trained "
                "on one device each; set both to 1, or data.folds: 1"
            )

    def require_plain(self, model: str) -> None:
        """Checks that no parameter asks for a feature that only the training loop has.

        Args:
            model: name of a model that scikit-learn fits, for the message.

        Raises:
            UserError: if a parameter needs the training loop.
        """
        mse_alone = LossParams(mse=1.0, l1=0.0, ssim=0.0, gradient=0.0)
        unsupported = {
            "train.pseudo.kind": self.pseudo.kind != "none",
            "train.motion_weight": self.motion_weight > 0,
            "train.loss": self.loss != mse_alone,
            "train.init_from": self.init_from is not None,
            "train.devices": self.devices not in (1, "auto") or self.num_nodes > 1,
        }
        if keys := [key for key, is_set in unsupported.items() if is_set]:
            raise UserError(
                f"{', '.join(keys)}: scikit-learn, which fits the model {model}, cannot do this; set "
                f"{'it' if len(keys) == 1 else 'them'} back, or set model.name: dense, the same network"
            )
