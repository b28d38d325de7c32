"""Writes the folder of a deployed model."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from vad import UserError
from vad.branches.window_errors import WindowErrors
from vad.export.graph import graph_and_network_errors, write_graph
from vad.export.readme import readme
from vad.live.deployed_model import (
    BODY_HEIGHTS,
    CALIBRATION,
    CARD,
    FORMAT,
    GRAPH,
    LICENSE,
    PARAMETERS,
    README,
    STATISTICS,
    ZONES,
    Agreement,
    CameraEntry,
    Card,
    FileEntry,
)
from vad.regions import RegionMode
from vad.scoring.calibration import Calibration
from vad.store.cards import write_json
from vad.store.downloads import hash_file
from vad.store.zones import read_zones
from vad.windows.spec import WindowParams

LIMIT = 0.01  # of a calibrated score: a graph that differs by more is broken
HEADER = "# The parameters of every processor, defaults included. An edit makes the model unusable.\n"


@dataclass(frozen=True)
class ModelParts:
    """What a deployed model is made of.

    Attributes:
        parameters: the sections of params.yaml that scoring needs, with all defaults.
        mode: the mode of preprocessing, prepared.
        mode_key: dotted name of its section in `parameters`.
        window: the frames of a window.
        networks: the networks, one per fold.
        folds: their numbers.
        statistics: folder of the statistics of branches, with a folder per fold.
        body_heights: file of the body heights.
        calibration: file of the calibration.
        zones: file of the zones.
        licence: file with the licence of this program.
        cameras: the footage that the model learned from.
        windows: some of its windows, uint8 [N, C, T, h, w].
    """

    parameters: dict[str, Any]
    mode: RegionMode
    mode_key: str
    window: WindowParams
    networks: Sequence[WindowErrors]
    folds: Sequence[int]
    statistics: Path
    body_heights: Path
    calibration: Path
    zones: Path
    licence: Path
    cameras: Sequence[CameraEntry]
    windows: np.ndarray


def export(folder: Path, parts: ModelParts) -> Card:
    """Writes the folder of a deployed model, by a temporary name, so that it is always whole.

    The same parts give the same bytes. A model that cannot be used live becomes a folder that says why.

    Args:
        folder: which is replaced.
        parts: of the model.

    Returns:
        Its card.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    calibration = Calibration.load(parts.calibration)
    shutil.copyfile(parts.licence, part / LICENSE)
    weights: dict[str, str] = {}
    agreement, unusable = None, _refusal(parts.mode)
    if unusable is None:
        weights = _write_files(part, parts)
        write_graph(part / GRAPH, parts.networks)
        agreement = _agreement(part / GRAPH, parts, calibration)
    card = Card(
        format=FORMAT,
        unusable=unusable,
        files=_entries(part),
        weights=weights,
        cameras=list(parts.cameras),
        folds=list(parts.folds),
        branches=calibration.branches,
        window=parts.window.model_dump(),
        threshold=calibration.threshold,
        lookahead=calibration.lookahead,
        delay=calibration.delay,
        classes=list(parts.mode.classes),
        zones=read_zones(parts.zones).hash,
        agreement=agreement,
    )
    (part / README).write_text(readme(card, calibration), "utf-8")
    card = card.model_copy(update={"files": _entries(part)})
    write_json(part / CARD, card.model_dump(mode="json"))
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    return card


def _refusal(mode: RegionMode) -> str | None:
    """Why the mode cannot be used live; None if it can."""
    try:
        mode.refuse_live()
    except UserError as e:
        return str(e)
    return None


def _write_files(folder: Path, parts: ModelParts) -> dict[str, str]:
    """Copies the files; returns those that parameters name, by key.

    They are copied and not linked: DVC moves outputs into its cache and may protect them there, and an edit
    of a linked file would change what the cache holds.
    """
    for fold in parts.folds:
        shutil.copytree(parts.statistics / str(fold), folder / STATISTICS / str(fold))
    shutil.copyfile(parts.body_heights, folder / BODY_HEIGHTS)
    shutil.copyfile(parts.calibration, folder / CALIBRATION)
    shutil.copyfile(parts.zones, folder / ZONES)
    named = {f"{parts.mode_key}.{file.key}": file for file in parts.mode.files()}
    for file in named.values():
        if file.path is not None:
            shutil.copyfile(file.path, folder / file.name)
    names = {key: None if file.path is None else file.name for key, file in named.items()}
    with open(folder / PARAMETERS, "w", encoding="utf-8", newline="\n") as out:
        out.write(HEADER)
        YAML().dump(_replaced(parts.parameters, names), out)
    return {key: name for key, name in names.items() if name is not None}


def _replaced(parameters: Mapping[str, Any], values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A copy with other values at some dotted keys.

    Args:
        parameters: sections within sections.
        values: value by dotted key; keys that are not in `parameters` are ignored.
        prefix: dotted name of the section, with a dot at its end.
    """
    return {
        key: _replaced(value, values, f"{prefix}{key}.")
        if isinstance(value, dict)
        else values.get(f"{prefix}{key}", value)
        for key, value in parameters.items()
    }


def _agreement(graph: Path, parts: ModelParts, calibration: Calibration) -> Agreement:
    """Compares graph and networks on the windows.

    Raises:
        RuntimeError: if they differ by more than LIMIT.
    """
    of_graph, of_networks = graph_and_network_errors(graph, parts.networks, parts.windows)
    error = {name: float(np.abs(of_graph[name] - of_networks[name]).max()) for name in of_networks}
    calibrated = [name for name in of_networks if name in calibration.standardisation[""]]
    levels = [calibration.standardise(errors, branches=calibrated) for errors in (of_graph, of_networks)]
    level = float(np.abs(levels[0] - levels[1]).max()) if calibrated else 0.0
    if not level < LIMIT:  # also if it is no number
        raise RuntimeError(f"the graph differs from the autoencoders by {level:g} of a calibrated score")
    return Agreement(
        windows=len(parts.windows),
        error={name: _rounded_up(value) for name, value in error.items()},
        level=_rounded_up(level),
    )


def _rounded_up(value: float) -> float:
    """A bound with one significant digit."""
    if value == 0:
        return 0.0
    exponent = math.floor(math.log10(value))
    return float(f"{math.ceil(value / 10**exponent)}e{exponent}")


def _entries(folder: Path) -> dict[str, FileEntry]:
    """The files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileEntry(bytes=path.stat().st_size, sha256=hash_file(path))
        for path in files
    }
