"""Starts a training from the weights of an earlier autoencoder (`train.init_from`)."""

import os
from pathlib import Path

from vad import UserError, models
from vad.models import Autoencoder


def folder_of(folder: str) -> Path:
    """The folder that `train.init_from` names.

    An experiment in a temporary copy finds it in the main checkout, too. Raises UserError if it is not there.
    """
    for root in (Path(), Path(os.environ.get("DVC_ROOT", "."))):
        if (root / folder / "card.json").is_file():
            return root / folder
    raise UserError(
        f"train.init_from = {folder!r}: no such folder with weights.safetensors and card.json "
        "(DVC empties models/autoencoder before it trains: copy it elsewhere first)"
    )


def start(folder: Path, model: Autoencoder) -> None:
    """Takes over the weights of a stored autoencoder, for fine-tuning."""
    try:
        other, _ = models.load(folder)
    except UserError as e:
        reason = str(e).partition("(")[2].partition(")")[0]
        raise UserError(f"train.init_from = {str(folder)!r} holds no usable autoencoder ({reason})") from None
    pairs = {
        "model.name": (other.name, model.name),
        "channels": (other.channels, model.channels),
        "shape of a window": (list(other.shape), list(model.shape)),
    }
    wrong = [(what, *pair) for what, pair in pairs.items() if pair[0] != pair[1]]
    if not wrong:
        try:
            model.load_state_dict(other.state_dict())
        except RuntimeError:  # other sizes
            wrong = [(f"model.{model.name}", other.params, model.params)]
    for what, has, wanted in wrong:
        raise UserError(
            f"train.init_from = {str(folder)!r} holds another autoencoder: its {what} is {has}, that of "
            f"params.yaml {wanted}"
        )
