"""Zones: polygons of a camera's picture that say what is judged, from data/zones.yaml.

The file has a list of zones per camera; those under `all` hold for every camera.

| key | content |
|---|---|
| `kind` | `ignore`: what lies inside is not judged; `only`: what lies outside all such zones is not judged |
| `polygon` | three or more corners [x, y] in shares of width and height, 0 to 1 |
| `name` | for people; optional |
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from vad import UserError
from vad.store.digests import digest

ALL_CAMERAS = "all"
Kind = Literal["ignore", "only"]
KINDS = get_args(Kind)
KEYS = ("name", "kind", "polygon")
RASTER = 500  # pixels along both sides of the picture in which zones must leave something


@dataclass(frozen=True)
class Zone:
    """A polygon of the picture. Where it crosses itself, what it encloses twice lies outside.

    Attributes:
        kind: `ignore` or `only`.
        polygon: corners x, y in shares of width and height, 0 to 1.
        name: for people; "" without one.
    """

    kind: Kind
    polygon: tuple[tuple[float, float], ...]
    name: str = ""

    def inside(self, height: int, width: int) -> np.ndarray:
        """The pixels whose centres lie inside.

        Args:
            height, width: of the picture in pixels.

        Returns:
            bool [height, width].
        """
        x, y = ((np.arange(side) + 0.5) / side for side in (width, height))
        out = np.zeros((height, width), bool)
        # a point is inside if a ray to its left crosses an odd number of edges
        for (x0, y0), (x1, y1) in zip(self.polygon, self.polygon[1:] + self.polygon[:1], strict=True):
            rows = np.flatnonzero((y0 <= y) != (y1 <= y))
            crossing = x0 + (y[rows] - y0) / (y1 - y0 or 1.0) * (x1 - x0)
            out[rows] ^= crossing[:, None] < x
        return out


@dataclass(frozen=True)
class CameraZones:
    """The zones of a camera; without zones, all is judged."""

    zones: tuple[Zone, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.zones)

    @property
    def hash(self) -> str:
        """Digest of kinds and polygons, for keys of what depends on them."""
        return digest(sorted([zone.kind, zone.polygon] for zone in self.zones))

    def mask(self, height: int, width: int) -> np.ndarray:
        """The pixels that are judged.

        Args:
            height, width: of the picture in pixels.

        Returns:
            bool [height, width].
        """
        only = [zone.inside(height, width) for zone in self.zones if zone.kind == "only"]
        out = np.any(only, axis=0) if only else np.ones((height, width), bool)
        for zone in self.zones:
            if zone.kind == "ignore":
                out &= ~zone.inside(height, width)
        return out


ALL_JUDGED = CameraZones()


@dataclass(frozen=True)
class Zones:
    """The zones of all cameras.

    Attributes:
        cameras: zones by camera, and those of all cameras under ALL_CAMERAS.
    """

    cameras: Mapping[str, tuple[Zone, ...]] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Digest of kinds and polygons of all cameras; the same for files with the same effect."""
        return digest({camera: self.of(camera).hash for camera, zones in self.cameras.items() if zones})

    def of(self, camera: str) -> CameraZones:
        """The zones of a camera; those of all cameras if it has none of its own.

        Args:
            camera: name of the camera; "" if unknown.
        """
        own = self.cameras.get(camera, ()) if camera != ALL_CAMERAS else ()
        return CameraZones((*self.cameras.get(ALL_CAMERAS, ()), *own))

    def require(self, cameras: Collection[str], path: Path) -> None:
        """Refuses zones of cameras that do not exist.

        Args:
            cameras: the cameras of the footage.
            path: the file of the zones, for the message.

        Raises:
            UserError: naming the cameras of the footage.
        """
        if unknown := sorted(set(self.cameras) - {ALL_CAMERAS, *cameras}):
            raise UserError(
                f"{path}: no clip has the camera {unknown[0]!r}; the cameras are "
                f"{', '.join(sorted(cameras))}, and `{ALL_CAMERAS}` stands for every camera"
            )


def read_zones(path: Path) -> Zones:
    """Reads the zones of all cameras.

    Args:
        path: the YAML file; without entries there are no zones.

    Raises:
        UserError: if the file is missing or broken, or the zones of a camera leave nothing to judge.
    """
    cameras = {}
    for camera, entries in _read_yaml(path).items():
        if not isinstance(camera, str):
            raise UserError(f"{path}: the camera {camera!r} is read as a number; put it in quotes")
        if entries is not None and not isinstance(entries, list):
            raise UserError(
                f"{path}: camera {camera!r}: a list of zones is expected, each beginning with `-`"
            )
        cameras[camera] = tuple(
            _zone(entry, f"{path}: camera {camera!r}, zone {number}")
            for number, entry in enumerate(entries or [], 1)
        )
    zones = Zones(cameras)
    for camera in cameras:
        if not zones.of(camera).mask(RASTER, RASTER).any():
            raise UserError(f"{path}: camera {camera!r}: its zones leave nothing of the picture to judge")
    return zones


def _read_yaml(path: Path) -> dict[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; a file without entries means no zones") from None
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})") from None
    except MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else "?"
        raise UserError(f"{path}: line {line}: not valid YAML: {e.problem or e.context}") from None
    except (YAMLError, ValueError) as e:
        raise UserError(f"{path}: not valid YAML: {str(e).splitlines()[0]}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UserError(f"{path}: names of cameras with their zones are expected, found {_shown(raw)}")
    return raw


def _zone(entry: Any, where: str) -> Zone:
    """A zone from its entry in the file; `where` begins all messages."""
    if not isinstance(entry, dict):
        raise UserError(f"{where}: the keys {', '.join(KEYS)} are expected, found {_shown(entry)}")
    if unknown := [key for key in entry if key not in KEYS]:
        raise UserError(f"{where}: unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    name, kind, points = (entry.get(key) for key in KEYS)
    if name is not None and not isinstance(name, str):
        raise UserError(f"{where}: name = {_shown(name)}: a text is expected; put it in quotes")
    where += f" ({name})" * bool(name)
    if kind not in KINDS:
        found = "is missing" if kind is None else f"= {_shown(kind)} is unknown"
        raise UserError(f"{where}: kind {found}; the kinds are {', '.join(KINDS)}")
    if not isinstance(points, list) or len(points) < 3:
        raise UserError(f"{where}: polygon = {_shown(points)}: three or more points [x, y] are expected")
    return Zone(cast(Kind, kind), tuple(_point(point, where) for point in points), name or "")


def _point(point: Any, where: str) -> tuple[float, float]:
    pair = isinstance(point, list) and len(point) == 2
    if not pair or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in point):
        raise UserError(f"{where}: {_shown(point)} is no point; two numbers [x, y] are expected")
    if not all(0 <= n <= 1 for n in point):
        advice = "these are pixels: divide x by the width of the picture, y by its height"
        advice = advice if all(map(math.isfinite, point)) and max(point) >= 2 else "move it to the border"
        raise UserError(
            f"{where}: the point {_shown(point)} lies outside the picture, whose width and height go from 0 "
            f"to 1; {advice}"
        )
    return float(point[0]), float(point[1])


def _shown(value: Any) -> str:
    """A value of the file as text of limited length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
