"""Camera and pen: from metres in the world to pixels on a canvas.

A canvas is uint8 [H * SS, W * SS, 4]: red, green, blue, and who covers the pixel (NOBODY, ORDINARY,
ANOMALY). Whatever is drawn writes all four at once, so picture and ground truth cannot disagree.
Shrinking the canvas by SS gives smooth edges.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SS = 3  # supersampling: canvas pixels per side of an output pixel
NOBODY, ORDINARY, ANOMALY = 0, 1, 2
SUBPIXELS = 4  # OpenCV takes coordinates as fixed point with this many binary digits

Colour = tuple[float, float, float]  # red, green, blue in [0, 255]


@dataclass(frozen=True)
class Camera:
    """A fixed camera above a flat ground: x to the right, y up, z away from it, in metres."""

    width: int  # of the output frame, pixels
    height: int
    eye: float = 2.2  # above the ground, metres
    focal: float = 1.29  # in frame heights
    horizon: float = 0.23  # row, in frame heights

    def scale(self, z: float) -> float:
        """Canvas pixels per metre at depth z."""
        return self.focal * self.height * SS / z

    def reach(self, z: float) -> float:
        """Largest |x| in view at depth z."""
        return self.width * SS / 2 / self.scale(z)

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points [N, 3] -> canvas pixels [N, 2] as (column, row)."""
        x, y, z = np.asarray(points, float).T
        scale = self.focal * self.height * SS / z
        return np.stack(
            [self.width * SS / 2 + x * scale, self.horizon * self.height * SS + (self.eye - y) * scale],
            axis=1,
        )

    def canvas(self) -> np.ndarray:
        """Empty canvas, uint8 [H * SS, W * SS, 4]."""
        return np.zeros((self.height * SS, self.width * SS, 4), np.uint8)


def _arc(start: float, end: float, n: int) -> np.ndarray:
    """Points [n, 2] on the unit circle."""
    angles = np.linspace(start, end, n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


CIRCLE, HALF = _arc(0, 2 * np.pi, 28), _arc(-np.pi / 2, np.pi / 2, 9)


def fill(canvas: np.ndarray, outlines: list[np.ndarray], colour: Colour, owner: int) -> None:
    """Fills the polygons [N, 2] given in canvas pixels; a polygon inside another is a hole."""
    fixed = [np.round(np.asarray(o) * 2**SUBPIXELS).astype(np.int32) for o in outlines]
    red, green, blue = (min(max(float(c), 0.0), 255.0) for c in colour)
    cv2.fillPoly(canvas, fixed, (red, green, blue, owner), cv2.LINE_8, SUBPIXELS)


def uv(u: float, v: float) -> np.ndarray:
    """A point or an offset [2] in the plane of a figure."""
    return np.array([u, v], float)


class Pen:
    """Draws an upright, flat figure at (x, z): u points where it faces, v up, both in metres."""

    def __init__(self, canvas: np.ndarray, camera: Camera, x: float, z: float, facing: int, owner: int):
        self.canvas, self.camera, self.owner = canvas, camera, owner
        self.origin = camera.project([[x, 0, z]])[0]
        self.unit = np.array([facing, -1]) * camera.scale(z)

    def polygon(self, points: np.ndarray, colour: Colour, hole: np.ndarray | None = None) -> None:
        outlines = [points] if hole is None else [points, hole]
        fill(self.canvas, [self.origin + np.asarray(o) * self.unit for o in outlines], colour, self.owner)

    def on_ground(self, points: np.ndarray, colour: Colour) -> None:
        """Fills a polygon given by world points [N, 3]."""
        fill(self.canvas, [self.camera.project(points)], colour, self.owner)

    def disc(self, centre: np.ndarray, radius: float, colour: Colour, hole: float = 0) -> None:
        inner = centre + hole * CIRCLE if hole else None
        self.polygon(centre + radius * CIRCLE, colour, inner)

    def limb(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, colour: Colour) -> None:
        """A tapered, round-ended stroke from a to b."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        along = b - a
        along /= max(np.hypot(*along), 1e-9)
        front = HALF[:, :1] * along + HALF[:, 1:] * np.array([-along[1], along[0]])
        self.polygon(np.concatenate([a - ra * front, b + rb * front]), colour)
