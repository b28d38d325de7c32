"""Initial weights from a stored autoencoder (`train.init_from`), for fine-tuning."""

import os
from pathlib import Path
from typing import Any

from vad import UserError
from vad.models import Autoencoder, UnusableModel, load


def find_folder(folder: str, fold: int = 0) -> Path:
    """The folder with the weights that `train.init_from` names.

    It is looked for in the working folder, then in the main checkout, for experiments, which DVC runs in a
    copy of the checkout.

    Args:
        folder: of a stored autoencoder, or a copy of models/autoencoder, which has a folder per fold.
        fold: number of the fold. If the copy has weights of a single fold, they are used for every fold.

    Raises:
        UserError: if neither has the folder.
    """
    for root in (Path(), Path(os.environ.get("DVC_ROOT", "."))):
        of_folds = sorted((root / folder).glob("[0-9]*/card.json"))
        cards = [root / folder / "card.json", root / folder / str(fold) / "card.json"]
        for card in [*cards, *(of_folds if len(of_folds) == 1 else [])]:
            if card.is_file():
                return card.parent
    raise UserError(
        f"train.init_from = {folder!r}: no such folder with weights.safetensors and card.json "
        "(DVC empties models/autoencoder before it trains: copy it elsewhere first)"
    )


def take_over(folder: Path, model: Autoencoder) -> None:
    """Loads the weights of a stored autoencoder into `model`.

    Args:
        folder: folder of the stored autoencoder.
        model: a model of the same name, window shape and planes.

    Raises:
        UserError: if the folder holds no usable autoencoder, or an autoencoder of another kind or shape.
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
    for what, (given, expected) in pairs.items():
        if given != expected:
            raise _other_autoencoder(folder, what, given, expected)
    try:
        model.load_state_dict(stored.state_dict())
    except RuntimeError:  # weights of other shapes
        raise _other_autoencoder(folder, f"model.{model.name}", stored.params, model.params) from None


def _other_autoencoder(folder: Path, what: str, given: object, expected: object) -> UserError:
    return UserError(
        f"train.init_from = {str(folder)!r} holds another autoencoder: its {what} is {given}, that of "
        f"params.yaml {expected}"
    )
