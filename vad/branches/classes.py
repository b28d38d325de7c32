"""Class novelty: how unlike anything in normal footage a region looks to an object detector.

The logarithms of a detector's class probabilities are standardised and reduced to the principal components
of normal regions; what these leave over of a region, squared, is its error (the Q statistic or SPE of Jackson
& Mudholkar, Technometrics 1979). Nothing is learned of what anomalies are called.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.store import arrays, cards, tables

FLOOR = 1e-4  # is added to probabilities, so that what is out of the question differs by nothing
LEAST = 0.1  # standard deviation of such a logarithm, so that a class never seen does not decide all
MOST = 200_000  # regions that are learned from, spread evenly


class NoveltyParams(Section):
    """`novelty`: `components` of normal regions' class probabilities that are kept."""

    components: int = Field(ge=1, le=1000)


@dataclass(frozen=True, eq=False)
class Novelty:
    """Normal regions of a detector with C classes: `mean` and `std` float32 [C], `basis` float32 [k, C]."""

    mean: np.ndarray
    std: np.ndarray
    basis: np.ndarray

    def errors(self, probabilities: np.ndarray) -> np.ndarray:
        """Squared residual of class probabilities [N, C], float32 [N]. Raises UserError for another C."""
        if probabilities.shape[1] != len(self.mean):
            raise UserError(
                f"class novelty was learned of {len(self.mean)} classes, these regions have "
                f"{probabilities.shape[1]}; run `dvc repro novelty`"
            )
        x = (_log(probabilities) - self.mean) / self.std
        return np.square(x - x @ self.basis.T @ self.basis).sum(1).astype(np.float32)


def detected(regions: pd.DataFrame) -> np.ndarray:
    """Which regions the detector found, bool [N]: what else moves looks like no class in particular."""
    return (regions["source"] == "detector").to_numpy()


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities.astype(np.float32) + np.float32(FLOOR))


def fit(regions: list[Path], params: NoveltyParams) -> Novelty | None:
    """Learns from the class probabilities of training clips, stems of `vad.regions`; None if there are none.

    Raises UserError for fewer regions than components.
    """
    from sklearn.decomposition import PCA  # here, since applying needs none of it

    told = [stem for stem in regions if Path(f"{stem}.classes.json").is_file()]
    if not told:
        return None
    seen = [np.flatnonzero(detected(tables.read_table(stem))) for stem in told]
    step = max(1, -(-sum(map(len, seen)) // MOST))
    found = zip(told, seen, strict=True)
    x = _log(np.concatenate([arrays.open_array(Path(f"{s}.classes"))[0][rows[::step]] for s, rows in found]))
    components = min(params.components, x.shape[1] - 1)
    if len(x) <= components:
        raise UserError(
            f"the detector found {len(x)} regions in training clips, too few for novelty.components = "
            f"{params.components}; lower it, or preprocess.person_crop.onnx.confidence"
        )
    # in single precision the mean of so many is off, and a class that never changes has a deviation
    mean, std = (part(0, dtype=np.float64).astype(np.float32) for part in (x.mean, x.std))
    std = np.maximum(std, np.float32(LEAST))
    # the full solver draws no random numbers
    basis = PCA(components, svd_solver="full").fit((x - mean) / std).components_
    return Novelty(mean, std, basis.astype(np.float32))


def save(found: Novelty | None, folder: Path) -> None:
    """Writes card.json and, where there is something to say, weights.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"classes": 0 if found is None else len(found.mean)}
    if found is not None:
        # safetensors takes an array's memory as it lies, and that of a basis lies the other way round
        parts = {name: np.ascontiguousarray(part) for name, part in vars(found).items()}
        save_file(parts, folder / "weights.safetensors")
        card["components"] = len(found.basis)
    cards.write_json(folder / "card.json", card)


def fingerprint(folder: Path) -> str:
    """Content hash of what `save` wrote."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def load(folder: Path) -> Novelty | None:
    """What `save` wrote. Raises UserError if it is missing or broken."""
    try:
        if not cards.read_json(folder / "card.json").get("classes"):
            return None
        return Novelty(**load_file(folder / "weights.safetensors"))
    except (OSError, SafetensorError, TypeError, AttributeError) as e:
        raise UserError(f"{folder}: no usable class novelty ({e}); run `dvc repro novelty`") from None
