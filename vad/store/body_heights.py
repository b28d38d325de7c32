"""Body heights: how tall a person appears at each row of a frame; as a unit, they cancel perspective.

data/body_height.json has an entry per camera, and one named "" for all other cameras.

| entry | content |
|---|---|
| `far`, `near` | height in pixels of a person whose feet are at the upper, lower border of the frame |
| `least` | smallest height in pixels, above 0; it holds where the line from `far` to `near` is lower |
| `rows` | height of the frame in pixels |
| `origin` | `fit`: a line fitted to regions; `constant`: their median; `default`: no regions; `params`: set |
| `regions` | number of regions in the fit |
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.store.cards import read_json, write_json
from vad.store.digests import digest

OTHER_CAMERAS = ""
DEFAULT_SHARE = 1 / 6  # of the height of the frame, where neither regions nor the user give a height
MIN_SLOPE = 0.25  # rows by which a person's centre moves per row of the feet; low cameras could give less


@dataclass(frozen=True)
class BodyHeight:
    """The height of people in the frames of a camera, linear in the row of their feet.

    For people who stand on a plane, it is proportional to the distance of their feet from the horizon (Hoiem
    et al. 2008, doi:10.1007/s11263-008-0137-5).

    Attributes:
        far: height in pixels of people with feet at row 0; negative if the horizon is below row 0.
        near: height in pixels of people with feet at row `rows`.
        least: smallest height in pixels, above 0.
        rows: height of the frame in pixels.
        origin: `fit`, `constant`, `default` or `params`, as in the file.
        regions: number of regions in the fit.
    """

    far: float
    near: float
    least: float
    rows: int
    origin: str = "default"
    regions: int = 0

    @classmethod
    def constant(cls, height: float, rows: int, origin: str = "default", regions: int = 0) -> "BodyHeight":
        """The same height at all rows.

        Args:
            height: in pixels, above 0.
            rows: height of the frame in pixels.
            origin: `constant`, `default` or `params`.
            regions: number of regions in the fit.
        """
        return cls(height, height, height, rows, origin, regions)

    @classmethod
    def default(cls, rows: int) -> "BodyHeight":
        """The height where neither regions nor the user give one: DEFAULT_SHARE of the frame.

        Args:
            rows: height of the frame in pixels.
        """
        return cls.constant(rows * DEFAULT_SHARE, rows)

    @property
    def hash(self) -> str:
        """Digest of the attributes, for keys of what depends on them."""
        return digest(asdict(self))

    @property
    def slope(self) -> float:
        """Growth of the height in pixels per row."""
        return (self.near - self.far) / self.rows

    def at_feet(self, rows: ArrayLike) -> np.ndarray:
        """Heights of people whose feet are at given rows.

        Args:
            rows: lower edges of their boxes in pixels, float of any shape.

        Returns:
            Pixels, float64 of the same shape.
        """
        return np.maximum(self.far + self.slope * np.asarray(rows, np.float64), self.least)

    def at_centre(self, rows: ArrayLike) -> np.ndarray:
        """Heights of people whose centres are at given rows.

        Args:
            rows: centres of their boxes in pixels, float of any shape.

        Returns:
            Pixels, float64 of the same shape.
        """
        # the centre is half a height above the feet: row = feet - (far + slope * feet) / 2
        feet = (np.asarray(rows, np.float64) + self.far / 2) / max(1 - self.slope / 2, MIN_SLOPE)
        return self.at_feet(feet)

    def scaled(self, rows: int) -> "BodyHeight":
        """The same camera with frames of another size.

        Args:
            rows: height of these frames in pixels.
        """
        factor = rows / self.rows
        far, near, least = (factor * value for value in (self.far, self.near, self.least))
        return replace(self, far=far, near=near, least=least, rows=rows)


@dataclass(frozen=True)
class BodyHeights:
    """The body heights of all cameras.

    Attributes:
        cameras: by name of the camera; the entry OTHER_CAMERAS is for those without an entry.
    """

    cameras: Mapping[str, BodyHeight]

    def of(self, camera: str, rows: int) -> BodyHeight:
        """The body height of a camera; without an entry for it or for OTHER_CAMERAS, the default.

        Args:
            camera: name of the camera.
            rows: height of its frames in pixels.
        """
        height = self.cameras.get(camera, self.cameras.get(OTHER_CAMERAS)) or BodyHeight.default(rows)
        return height if height.rows == rows else height.scaled(rows)


def write_body_heights(path: Path, heights: BodyHeights) -> None:
    """Writes the body heights of all cameras.

    Args:
        path: the JSON file.
        heights: the body heights.
    """
    part = Path(f"{path}.part")
    write_json(part, {camera: asdict(height) for camera, height in sorted(heights.cameras.items())})
    part.replace(path)  # so that a failure leaves the earlier file as it was


def read_body_heights(path: Path) -> BodyHeights:
    """Reads the body heights of all cameras.

    Args:
        path: the JSON file.

    Raises:
        UserError: if the file is missing or broken.
    """
    try:
        cameras = {camera: BodyHeight(**entry) for camera, entry in read_json(path).items()}
        for height in cameras.values():
            finite = np.isfinite([height.far, height.near, height.least, height.rows]).all()
            # only `far` may be below 0, if the horizon is in the picture
            if not (finite and min(height.near, height.least, height.rows) > 0):
                raise ValueError("heights must be finite and above 0")
    except (OSError, AttributeError, TypeError, ValueError) as e:
        raise UserError(f"{path}: no usable body heights ({e!r}); run `dvc repro preprocess`") from None
    return BodyHeights(cameras)
