"""What made the page: hashes of files, and the parameters that had an effect."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vad.evaluation.params import EvaluateParams
from vad.report.contents import Trace
from vad.report.footage import Footage
from vad.report.params import ReportParams
from vad.store.cards import read_json


def trace(footage: Footage, evaluate: EvaluateParams, report: ReportParams) -> Trace:
    """What made the page.

    Args:
        footage: with the files.
        evaluate, report: these sections of params.yaml.
    """
    sources = footage.sources
    folds = sorted(sources.autoencoder.glob("[0-9]*/card.json"), key=lambda card: int(card.parent.name))
    autoencoder, deployed = read_json(folds[0]), read_json(sources.deployed / "model.json")
    parameters: dict[str, Any] = {}
    if (path := sources.deployed / "parameters.yaml").is_file():  # none of a model that cannot be deployed
        parameters = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    parameters |= {
        "model": {"name": autoencoder["name"], autoencoder["name"]: autoencoder["params"]},
        "calibrate": footage.calibration.params.active(),
        "evaluate": evaluate.active(),
        "report": report.active(),
    }
    weights = [
        (f"weights of the autoencoder, fold {card.parent.name}", md5(card.parent / "weights.safetensors"))
        for card in folds
    ]
    files = {key: deployed["files"][name]["sha256"] for key, name in deployed["weights"].items()}
    return Trace(
        hashes=[
            (path.as_posix(), md5(path)) for path in (sources.manifest, sources.labels, sources.calibration)
        ],
        parameters=dict(_flat(parameters)),
        versions=[*weights, *((f"{key}, SHA-256", value) for key, value in sorted(files.items()))],
    )


def md5(path: Path) -> str:
    """The MD5 of a file, as DVC computes it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{key}", text
