"""Text in pictures: rendered once, then blended from a cache."""

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]


@lru_cache(512)
def _mask(text: str, height: int) -> np.ndarray:
    """Coverage of the pixels by a text, uint8 [rows, columns, 3]."""
    font = _font(height)
    _, _, width, _ = font.getbbox(text)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(width)), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, 255, font)
    return np.repeat(np.array(image)[:, :, None], 3, axis=2)


@lru_cache(8)
def _font(height: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def text_size(text: str, height: int) -> tuple[int, int]:
    """Size of a text in pixels, (width, height).

    Args:
        text: of one line.
        height: of the font, in pixels.
    """
    rows, columns = _mask(text, height).shape[:2]
    return columns, rows


def draw_text(picture: np.ndarray, text: str, x: int, y: int, height: int, color: Color) -> None:
    """Writes a text; what lies outside the picture is cut off.

    Args:
        picture: uint8 [H, W, 3], changed in place.
        text: of one line.
        x, y: column and row of its upper left corner.
        height: of the font, in pixels.
        color: of the letters.
    """
    mask = _mask(text, height)
    y0, x0 = max(y, 0), max(x, 0)
    part = picture[y0 : max(y + mask.shape[0], 0), x0 : max(x + mask.shape[1], 0)]
    mask = mask[y0 - y : y0 - y + part.shape[0], x0 - x : x0 - x + part.shape[1]]
    if not part.size:
        return
    # 255 * a fits into 16 bits
    weight = mask.astype(np.uint16)
    part[:] = (part * (255 - weight) + weight * np.array(color, np.uint16)) // 255


def draw_tag(
    picture: np.ndarray, text: str, x: int, y: int, height: int, color: Color, ground: Color
) -> None:
    """Writes a text on a filled box, moved into the picture where it would leave it.

    Args:
        picture: uint8 [H, W, 3], changed in place.
        text: of one line.
        x, y: column and row of the upper left corner of the box.
        height: of the font, in pixels.
        color: of the letters.
        ground: of the box.
    """
    width, rows = text_size(text, height)
    pad = max(2, height // 5)
    x = max(0, min(x, picture.shape[1] - width - 2 * pad))
    y = max(0, min(y, picture.shape[0] - rows))
    cv2.rectangle(picture, (x, y), (x + width + 2 * pad - 1, y + rows - 1), ground, cv2.FILLED)
    draw_text(picture, text, x + pad, y, height, color)
