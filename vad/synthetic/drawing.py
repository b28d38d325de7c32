"""Camera and pen: project from metres in the world to pixels, and draw on a canvas.

A canvas is uint8 [H * SS, W * SS, 4]: red, green, blue, and the label of the pixel (NOBODY, ORDINARY or
ANOMALY). Every drawing operation writes colour and label together, so that picture and ground truth always
agree. The canvas is reduced by the factor SS afterwards, which gives smooth edges.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SS = 3  # supersampling: canvas pixels per side of an output pixel
NOBODY, ORDINARY, ANOMALY = 0, 1, 2
SUBPIXELS = 4  # fractional bits of the fixed-point coordinates that are passed to OpenCV

Colour = tuple[float, float, float]  # red, green, blue in [0, 255]


def lit(colour: Colour, light: float) -> Colour:
    """Scales the brightness of a colour; 1 leaves it unchanged, less makes it darker."""
    red, green, blue = colour
    return light * red, light * green, light * blue


@dataclass(frozen=True)
class Camera:
    """A fixed camera above flat ground. World coordinates in metres: x to the right, y up, z away from it."""

    width: int  # of the frame, in pixels
    height: int  # of the frame, in pixels
    eye: float = 2.2  # height above the ground, in metres
    focal: float = 1.29  # focal length, in frame heights
    horizon: float = 0.23  # row of the horizon, in frame heights

    def scale(self, z: float) -> float:
        """Canvas pixels per metre at depth z."""
        return self.focal * self.height * SS / z

    def reach(self, z: float) -> float:
        """Largest |x| in view at depth z."""
        return self.width * SS / 2 / self.scale(z)

    def project(self, points: npt.ArrayLike) -> np.ndarray:
        """Projects world points, [N, 3] in metres, to canvas pixels, [N, 2] as (column, row)."""
        x, y, z = np.asarray(points, float).T
        scale = self.focal * self.height * SS / z
        return np.stack(
            [self.width * SS / 2 + x * scale, self.horizon * self.height * SS + (self.eye - y) * scale],
            axis=1,
        )

    def canvas(self) -> np.ndarray:
        """An empty canvas, uint8 [H * SS, W * SS, 4]."""
        return np.zeros((self.height * SS, self.width * SS, 4), np.uint8)


def _arc(start: float, end: float, n: int) -> np.ndarray:
    """n points [n, 2] of an arc of the unit circle; angles in radians."""
    angles = np.linspace(start, end, n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


CIRCLE, HALF = _arc(0, 2 * np.pi, 28), _arc(-np.pi / 2, np.pi / 2, 9)


def fill(canvas: np.ndarray, outlines: list[np.ndarray], colour: Colour, label: int) -> None:
    """Fills polygons; a polygon inside another is a hole.

    Args:
        canvas: modified in place.
        outlines: corners of each polygon, [N, 2] in canvas pixels.
        colour: of the filled pixels.
        label: of the filled pixels; NOBODY, ORDINARY or ANOMALY.
    """
    fixed = [np.round(np.asarray(o) * 2**SUBPIXELS).astype(np.int32) for o in outlines]
    red, green, blue = (min(max(float(c), 0.0), 255.0) for c in colour)
    cv2.fillPoly(canvas, fixed, (red, green, blue, label), cv2.LINE_8, SUBPIXELS)


def uv(u: float, v: float) -> np.ndarray:
    """A point or an offset [2] in the plane of a figure."""
    return np.array([u, v], float)


class Pen:
    """Draws an upright, flat figure, whose plane is perpendicular to the view.

    Points of the figure are (u, v) in metres from its position on the ground: u in the direction that it
    faces, v up.

    Args:
        canvas: modified in place.
        camera: of the canvas.
        x: position of the figure, metres to the right of the camera.
        z: position of the figure, metres away from the camera.
        facing: 1 to the right, -1 to the left.
        label: of all pixels drawn; NOBODY, ORDINARY or ANOMALY.
    """

    def __init__(self, canvas: np.ndarray, camera: Camera, x: float, z: float, facing: int, label: int):
        self.canvas, self.camera, self.label = canvas, camera, label
        self.origin = camera.project([[x, 0, z]])[0]
        self.unit = np.array([facing, -1]) * camera.scale(z)

    def polygon(self, points: np.ndarray, colour: Colour, hole: np.ndarray | None = None) -> None:
        """Fills a polygon, [N, 2], except for a hole in it, [M, 2]."""
        outlines = [points] if hole is None else [points, hole]
        fill(self.canvas, [self.origin + np.asarray(o) * self.unit for o in outlines], colour, self.label)

    def on_ground(self, points: np.ndarray, colour: Colour) -> None:
        """Fills a polygon of world points, [N, 3]."""
        fill(self.canvas, [self.camera.project(points)], colour, self.label)

    def disc(self, centre: np.ndarray, radius: float, colour: Colour, hole: float = 0) -> None:
        """Fills a disc; `hole` is the radius of a hole in its middle."""
        inner = centre + hole * CIRCLE if hole else None
        self.polygon(centre + radius * CIRCLE, colour, inner)

    def limb(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, colour: Colour) -> None:
        """Draws a stroke with round ends from point a, with radius ra, to point b, with radius rb."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        along = b - a
        along /= max(np.hypot(*along), 1e-9)
        front = HALF[:, :1] * along + HALF[:, 1:] * np.array([-along[1], along[0]])
        self.polygon(np.concatenate([a - ra * front, b + rb * front]), colour)
