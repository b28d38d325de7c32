"""Overlays: boxes, tracks and silhouettes drawn into pictures of frames; and optical flow in colour.

Pictures are uint8 [H, W, 3] RGB and changed in place, unless a function says otherwise. The colours are those
of Okabe and Ito (2008, jfly.uni-koeln.de/color), which colour-blind people can distinguish. The colours of
flow are those of Baker et al. (2011, doi:10.1007/s11263-010-0390-2): hue is direction, saturation is speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont

TRACKS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
)
SILHOUETTE: Color = (204, 121, 167)
INK: Color = (20, 20, 20)
FAINT: Color = (110, 110, 110)
PAPER: Color = (255, 255, 255)
FONTS = Path(matplotlib.get_data_path(), "fonts/ttf")  # the same on every machine, not only Latin letters
TAG = 12  # height of a tag in pixels
# lines of a figure's body, legs and arms: points to the right of its middle and above its feet, in heights
FIGURE: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0, 0.85), (0, 0.47)),
    ((-0.13, 0), (0, 0.47), (0.13, 0)),
    ((-0.17, 0.48), (0, 0.8), (0.17, 0.48)),
)
FIGURE_WIDTH = 0.4  # heights


@dataclass(frozen=True)
class Mark:
    """A region to draw.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture, end exclusive.
        track: number of the track, -1 without a track.
        source: frame, motion or detector.
        confidence: in [0, 1].
    """

    box: tuple[int, int, int, int]
    track: int
    source: str
    confidence: float

    @property
    def color(self) -> Color:
        """The colour of the track."""
        return color_of(self.track)

    @property
    def area(self) -> int:
        """Area of the box in pixels of the picture."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def color_of(track: int) -> Color:
    """The colour of a track; the colours repeat. White for -1, no track."""
    return TRACKS[track % len(TRACKS)] if track >= 0 else PAPER


@lru_cache
def font(height: int, bold: bool = False) -> Font:
    """The font of all texts.

    Args:
        height: height of the letters in pixels, from the lowest to the highest point.
        bold: whether the font is bold.
    """
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(FONTS / name), height, layout_engine=ImageFont.Layout.BASIC)


def outline(picture: np.ndarray, mark: Mark) -> None:
    """Draws the outline of a box inside its edges: 2 pixels thick, 1 in a small box; dashed for motion.

    Args:
        picture: changed in place.
        mark: the region; parts outside the picture are not drawn.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = np.clip(mark.box, 0, (width, height) * 2)
    patch = picture[y0:y1, x0:x1]
    row, column = np.ogrid[: y1 - y0, : x1 - x0]
    # distance of each pixel from the nearest edge of the box
    depth = np.minimum(np.minimum(row, y1 - y0 - 1 - row), np.minimum(column, x1 - x0 - 1 - column))
    line = depth < (2 if min(patch.shape[:2]) >= 20 else 1)
    patch[line] = mark.color
    if mark.source == "motion":
        patch[line & ((row + column) % 8 >= 5)] = INK


def path(picture: np.ndarray, points: np.ndarray, color: Color) -> None:
    """Draws a line through points.

    Args:
        picture: changed in place.
        points: float [N, 2], x and y in pixels of the picture.
        color: of the line.
    """
    # fixed-point numbers for OpenCV, where the centre of the first pixel is 0, not 0.5
    sixteenths = np.rint((points - 0.5) * 16).astype(np.int32)
    cv2.polylines(picture, [sixteenths], False, color, 2, cv2.LINE_AA, shift=4)


def person(picture: np.ndarray, x: float, feet: float, height: float) -> None:
    """Draws the figure of a standing person, white with a dark edge.

    Args:
        picture: changed in place; parts outside it are not drawn.
        x: column of the figure's middle, in pixels of the picture.
        feet: row below the feet, in pixels of the picture.
        height: from the feet to the top of the head, in pixels of the picture.
    """
    line = 1 if height < 80 else 2
    radius = max(height / 14, 1.5)
    for color, width in ((INK, line + 2), (PAPER, line)):
        for points in FIGURE:
            # moved inwards by the width of the line, so that the figure has the height
            at = [(x + height * right, feet - line + (line - height) * up) for right, up in points]
            cv2.polylines(picture, [np.rint(at).astype(np.int32)], False, color, width)
        head = round(x), round(feet - height + radius)
        cv2.circle(picture, head, round(radius + (width - line) / 2), color, cv2.FILLED)


def tint(picture: np.ndarray, silhouette: np.ndarray) -> None:
    """Tints a silhouette and draws its outline.

    Args:
        picture: changed in place.
        silhouette: bool [h, w], of any size with the aspect of the picture.
    """
    inside = cv2.resize(silhouette.astype(np.float32), picture.shape[1::-1]) > 0.5
    picture[inside] = np.rint(picture[inside] * 0.55 + np.array(SILHOUETTE) * 0.45)
    edges, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, SILHOUETTE, 1)


def exclude(picture: np.ndarray, judged: np.ndarray) -> None:
    """Darkens and hatches what is not judged, and draws its outline.

    Args:
        picture: changed in place.
        judged: bool [h, w], of the size of the picture.
    """
    row, column = np.indices(judged.shape)
    outside, line = ~judged, (row + column) % 8 < 2
    picture[outside] = picture[outside] // 2
    picture[outside & line] = FAINT
    edges, _ = cv2.findContours(outside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, PAPER, 1)


def tags(picture: np.ndarray, marks: Sequence[Mark]) -> tuple[np.ndarray, set[str]]:
    """Writes track numbers above boxes, and confidences below 1 under them, where there is room.

    Args:
        picture: not changed.
        marks: the regions, in the order in which they take the room.

    Returns:
        A new picture, and the kinds of tags that were written, of "track" and "confidence".
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    height, width = picture.shape[:2]
    taken = np.zeros((height, width), bool)
    written: set[str] = set()
    for mark in marks:
        x0, y0, _, y1 = mark.box
        texts = []
        if mark.track >= 0:
            texts.append(("track", str(mark.track), y0 - TAG if y0 >= TAG else y0))
        if mark.confidence < 1:
            texts.append(("confidence", f"{mark.confidence:.0%}", y1 if y1 + TAG <= height else y1 - TAG))
        for what, text, y in texts:
            w = round(font(10).getlength(text)) + 4
            x, y = max(0, min(x0, width - w)), max(0, y)
            if taken[y : y + TAG, x : x + w].any():
                continue
            taken[y : y + TAG, x : x + w] = True
            written.add(what)
            draw.rectangle((x, y, x + w - 1, y + TAG - 1), mark.color)
            bright = np.dot(mark.color, (0.299, 0.587, 0.114)) > 120
            draw.text((x + 2, y), text, INK if bright else PAPER, font(10))
    return np.array(image), written


def color_flow(displacement: np.ndarray, full: float) -> np.ndarray:
    """Flow in colour: red is motion to the right, white is no motion.

    Args:
        displacement: float32 [h, w, 2], to the right and down.
        full: speed drawn in full colour, in the unit of `displacement`.

    Returns:
        uint8 [h, w, 3].
    """
    x, y = displacement[..., 0], displacement[..., 1]
    hue = np.degrees(np.arctan2(y, x)) % 360
    hsv = np.stack([hue, np.minimum(np.hypot(x, y) / full, 1), np.ones_like(hue)], axis=-1)
    return np.rint(cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def wheel(radius: int) -> np.ndarray:
    """A colour wheel: directions and speeds as a disc on white, with full colour at the rim.

    Args:
        radius: radius of the disc in pixels.
    """
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32) / radius
    disc = color_flow(np.stack([x, y], axis=-1), 1.0)
    disc[np.hypot(x, y) > 1] = PAPER
    return disc


def flow_colors() -> np.ndarray:
    """A palette for flow: uint8 [64, 3], 16 directions at 4 speeds."""
    angle, speed = np.meshgrid(np.arange(16) * np.pi / 8, np.arange(1, 5) / 4)
    field = np.stack([np.cos(angle) * speed, np.sin(angle) * speed], axis=-1)
    return color_flow(field.astype(np.float32), 1.0).reshape(-1, 3)
