"""Camera and pen: from metres in the world to pixels on a canvas.

A canvas is uint8 [H * SS, W * SS, 4]: red, green, blue, and who covers the pixel (NOBODY, ORDINARY,
ANOMALY). Whatever is drawn writes all four at once, so picture and ground truth cannot disagree.
Shrinking the canvas by SS gives smooth edges.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SS = 3  # supersampling: canvas pixels per side of an output pixel
NOBODY, ORDINARY, ANOMALY = 0, 1, 2
SUBPIXELS = 4  # OpenCV takes coordinates as fixed point with this many binary digits

Colour = tuple[float, float, float]  # red, green, blue in [0, 255]


def lit(colour: Colour, light: float) -> Colour:
    """The colour in other light: 1 changes nothing, less is darker."""
    red, green, blue = colour
    return light * red, light * green, light * blue


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

    def project(self, points: npt.ArrayLike) -> np.ndarray:
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
    """Fills polygons; a polygon inside another is a hole.

    Args:
        canvas: is drawn on.
        outlines: corners [N, 2] of each polygon, in canvas pixels.
        colour: of the inside.
        owner: NOBODY, ORDINARY or ANOMALY, who covers these pixels from now on.
    """
    fixed = [np.round(np.asarray(o) * 2**SUBPIXELS).astype(np.int32) for o in outlines]
    red, green, blue = (min(max(float(c), 0.0), 255.0) for c in colour)
    cv2.fillPoly(canvas, fixed, (red, green, blue, owner), cv2.LINE_8, SUBPIXELS)


def uv(u: float, v: float) -> np.ndarray:
    """A point or an offset [2] in the plane of a figure."""
    return np.array([u, v], float)


class Pen:
    """Draws an upright, flat figure; its points are (u, v), u where it faces, v up, in metres from its place.

    Args:
        canvas: is drawn on.
        camera: that sees it.
        x: place of the figure, metres to the right of the camera.
        z: metres away from the camera.
        facing: 1 to the right, -1 to the left.
        owner: NOBODY, ORDINARY or ANOMALY.
    """

    def __init__(self, canvas: np.ndarray, camera: Camera, x: float, z: float, facing: int, owner: int):
        self.canvas, self.camera, self.owner = canvas, camera, owner
        self.origin = camera.project([[x, 0, z]])[0]
        self.unit = np.array([facing, -1]) * camera.scale(z)

    def polygon(self, points: np.ndarray, colour: Colour, hole: np.ndarray | None = None) -> None:
        """Fills a polygon [N, 2], but for a hole [M, 2] in it."""
        outlines = [points] if hole is None else [points, hole]
        fill(self.canvas, [self.origin + np.asarray(o) * self.unit for o in outlines], colour, self.owner)

    def on_ground(self, points: np.ndarray, colour: Colour) -> None:
        """Fills a polygon given by world points [N, 3]."""
        fill(self.canvas, [self.camera.project(points)], colour, self.owner)

    def disc(self, centre: np.ndarray, radius: float, colour: Colour, hole: float = 0) -> None:
        """Fills a disc, but for a smaller one of radius `hole` in its middle."""
        inner = centre + hole * CIRCLE if hole else None
        self.polygon(centre + radius * CIRCLE, colour, inner)

    def limb(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, colour: Colour) -> None:
        """A stroke with round ends from a to b, of radius ra at a and rb at b."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        along = b - a
        along /= max(np.hypot(*along), 1e-9)
        front = HALF[:, :1] * along + HALF[:, 1:] * np.array([-along[1], along[0]])
        self.polygon(np.concatenate([a - ra * front, b + rb * front]), colour)
