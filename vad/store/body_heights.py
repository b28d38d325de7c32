"""Body heights: how tall a person is at each row of a picture, the unit that perspective does not change.

data/body_height.json has an entry per camera, and one named "" for cameras without an entry.

| entry | content |
|---|---|
| `far`, `near` | height in pixels of a person whose box ends at the upper and the lower edge of the picture |
| `least` | smallest height in pixels, above 0; where the line from `far` to `near` is lower, this counts |
| `rows` | height of the picture in pixels |
| `origin` | `fit`: a line fitted to regions; `constant`: their median; `default`: no regions; `params`: set |
| `regions` | number of regions that it rests on |
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.store.cards import read_json, write_json

OTHER_CAMERAS = ""
DEFAULT_SHARE = 1 / 6  # of the picture's height, where nothing says how tall people are
MIN_SLOPE = 0.25  # pixels by which a person's middle moves down per pixel of the feet; less from low cameras


@dataclass(frozen=True)
class BodyHeight:
    """The height of people in the picture of a camera, linear in the row where their boxes end.

    People who stand on a plane are as tall in the picture as their feet are far below the horizon (Hoiem et
    al. 2008, doi:10.1007/s11263-008-0137-5).

    Attributes:
        far: height in pixels at row 0; may be negative, if the horizon is below it.
        near: height in pixels at row `rows`.
        least: smallest height in pixels, above 0.
        rows: height of the picture in pixels.
        origin: what it rests on: `fit`, `constant`, `default` or `params`.
        regions: number of regions that it rests on.
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
            rows: height of the picture in pixels.
            origin: what it rests on.
            regions: number of regions that it rests on.
        """
        return cls(height, height, height, rows, origin, regions)

    @classmethod
    def default(cls, rows: int) -> "BodyHeight":
        """The height where nothing says how tall people are: a share of the picture's height.

        Args:
            rows: height of the picture in pixels.
        """
        return cls.constant(rows * DEFAULT_SHARE, rows)

    @property
    def slope(self) -> float:
        """Pixels by which the height grows per row."""
        return (self.near - self.far) / self.rows

    def at_feet(self, rows: ArrayLike) -> np.ndarray:
        """Heights of people by the lower edges of their boxes.

        Args:
            rows: lower edges in pixels, float of any shape.

        Returns:
            Pixels, float64 of the same shape.
        """
        return np.maximum(self.far + self.slope * np.asarray(rows, np.float64), self.least)

    def at_centre(self, rows: ArrayLike) -> np.ndarray:
        """Heights of people by the middles of their boxes.

        Args:
            rows: middles in pixels, float of any shape.

        Returns:
            Pixels, float64 of the same shape.
        """
        # the middle is half a height above the feet: row = feet - (far + slope * feet) / 2
        feet = (np.asarray(rows, np.float64) + self.far / 2) / max(1 - self.slope / 2, MIN_SLOPE)
        return self.at_feet(feet)

    def scaled(self, rows: int) -> "BodyHeight":
        """The same camera with pictures of another size.

        Args:
            rows: their height in pixels.
        """
        factor = rows / self.rows
        far, near, least = (factor * value for value in (self.far, self.near, self.least))
        return replace(self, far=far, near=near, least=least, rows=rows)


@dataclass(frozen=True)
class BodyHeights:
    """The body heights of all cameras.

    Attributes:
        cameras: by name of the camera; OTHER_CAMERAS is for cameras without an entry.
    """

    cameras: Mapping[str, BodyHeight]

    def of(self, camera: str, rows: int) -> BodyHeight:
        """The body height of a camera.

        Args:
            camera: its name.
            rows: height of its pictures in pixels.
        """
        height = self.cameras.get(camera, self.cameras.get(OTHER_CAMERAS)) or BodyHeight.default(rows)
        return height if height.rows == rows else height.scaled(rows)


def write_body_heights(path: Path, heights: BodyHeights) -> None:
    """Writes the body heights of all cameras.

    Args:
        path: of the JSON file.
        heights: what to write.
    """
    part = Path(f"{path}.part")
    write_json(part, {camera: asdict(height) for camera, height in sorted(heights.cameras.items())})
    part.replace(path)  # a failure leaves the earlier file


def read_body_heights(path: Path) -> BodyHeights:
    """Reads the body heights of all cameras.

    Args:
        path: of the JSON file.

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
