"""Starts a training from the weights of an earlier autoencoder (`train.init_from`), for fine-tuning."""

import os
from pathlib import Path
from typing import Any

from vad import UserError
from vad.models import Autoencoder, UnusableModel, load


def find_folder(folder: str) -> Path:
    """The folder that `train.init_from` names, here or (for experiments in a copy) in the main checkout.

    Raises:
        UserError: if it is in neither.
    """
    for root in (Path(), Path(os.environ.get("DVC_ROOT", "."))):
        if (root / folder / "card.json").is_file():
            return root / folder
    raise UserError(
        f"train.init_from = {folder!r}: no such folder with weights.safetensors and card.json "
        "(DVC empties models/autoencoder before it trains: copy it elsewhere first)"
    )


def take_over(folder: Path, model: Autoencoder) -> None:
    """Gives `model` the weights of a stored autoencoder.

    Args:
        folder: of the stored autoencoder.
        model: of the same name, size and planes.

    Raises:
        UserError: if the folder holds no usable autoencoder, or another.
    """
    try:
        stored, _ = load(folder)
    except UnusableModel as e:
        raise UserError(
            f"train.init_from = {str(folder)!r} holds no usable autoencoder ({e.reason})"
        ) from None
    pairs: dict[str, tuple[Any, Any]] = {
        "model.name": (stored.name, model.name),
        "channels": (stored.channels, model.channels),
        "shape of a window": (list(stored.shape), list(model.shape)),
    }
    for what, (has, wanted) in pairs.items():
        if has != wanted:
            raise _other_autoencoder(folder, what, has, wanted)
    try:
        model.load_state_dict(stored.state_dict())
    except RuntimeError:  # weights of other shapes
        raise _other_autoencoder(folder, f"model.{model.name}", stored.params, model.params) from None


def _other_autoencoder(folder: Path, what: str, has: object, wanted: object) -> UserError:
    return UserError(
        f"train.init_from = {str(folder)!r} holds another autoencoder: its {what} is {has}, that of "
        f"params.yaml {wanted}"
    )
