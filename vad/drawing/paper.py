"""Sheets of pictures and texts on white, made of strips one below another, as PNG.

A strip is uint8 [height, WIDTH, 3] RGB; `np.concatenate` joins strips to a sheet.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vad.drawing.overlays import INK, PAPER, Color, Font, font

COLUMNS, CELL = 4, 320  # number of pictures in a row, and pixels of their longer side
MARGIN, GAP = 16, 8
WIDTH = 2 * MARGIN + COLUMNS * CELL + (COLUMNS - 1) * GAP
BYTES = 600_000  # size limit of a PNG, as DVC embeds the pictures in a page


def strip(height: int, *texts: tuple[str, Font, Color]) -> np.ndarray:
    """A strip with texts side by side, each shortened to the available width.

    Args:
        height: height of the strip in pixels.
        *texts: text, font and colour of each.
    """
    x, placed = MARGIN, []
    for i, (text, letters, color) in enumerate(texts):
        room = WIDTH - MARGIN - x if i == len(texts) - 1 else WIDTH // 3
        placed.append((x, text := fitted(text, letters, room), letters, color))
        x += round(letters.getlength(text)) + 16
    return _print(np.full((height, WIDTH, 3), PAPER, np.uint8), height - 8, placed)


def row(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """A strip with up to COLUMNS pictures side by side, uint8 [h, w, 3], neither side longer than CELL."""
    paper = strip(max(len(picture) for picture in pictures))
    for i, picture in enumerate(pictures):
        x = MARGIN + i * (CELL + GAP)
        paper[: len(picture), x : x + picture.shape[1]] = picture
    return paper


def captions(texts: Sequence[str]) -> np.ndarray:
    """A strip with a text below each picture of a row."""
    placed = [(MARGIN + i * (CELL + GAP), text, font(12), INK) for i, text in enumerate(texts)]
    return _print(strip(20), 14, placed)


def legend(items: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    """A strip with signs and their meanings, in as many lines as needed.

    Args:
        items: the picture of a sign, uint8 [h, w, 3], and its meaning, of each.
    """
    lines: list[list[tuple[int, np.ndarray, str]]] = []
    x = WIDTH
    for sign, text in items:
        needed = sign.shape[1] + 6 + round(font(12).getlength(text))
        if x + needed > WIDTH - MARGIN:
            lines.append([])
            x = MARGIN
        lines[-1].append((x, sign, text))
        x += needed + 24
    return np.concatenate([_line(line) for line in lines] or [strip(0)])


def _line(items: Sequence[tuple[int, np.ndarray, str]]) -> np.ndarray:
    paper = strip(max(len(sign) for _, sign, _ in items) + 8)
    for x, sign, _ in items:
        top = (len(paper) - len(sign)) // 2
        paper[top : top + len(sign), x : x + sign.shape[1]] = sign
    texts = [(x + sign.shape[1] + 6, text, font(12), INK) for x, sign, text in items]
    return _print(paper, len(paper) // 2 + 4, texts)


def _print(paper: np.ndarray, baseline: int, texts: Sequence[tuple[int, str, Font, Color]]) -> np.ndarray:
    if not texts:
        return paper
    draw = ImageDraw.Draw(image := Image.fromarray(paper))
    for x, text, letters, color in texts:
        draw.text((x, baseline), text, color, letters, anchor="ls")
    return np.array(image)


def fitted(text: str, letters: Font, room: int) -> str:
    """The text, shortened in the middle if it is wider than `room` pixels."""
    keep, short = len(text), text
    while keep > 2 and letters.getlength(short) > room:
        keep -= 1
        short = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
    return short


def page_path(path: Path, page: int) -> Path:
    """Path of a page, from 1: `path` of the first, `<stem>_2.png`, `<stem>_3.png`, … of the others."""
    return path if page == 1 else path.with_stem(f"{path.stem}_{page}")


def encode(sheet: np.ndarray, fixed: np.ndarray) -> bytes:
    """Encodes a sheet as PNG with a palette. The same sheet gives the same bytes.

    Args:
        sheet: uint8 [H, W, 3].
        fixed: colours that the palette must contain, uint8 [K, 3], K < 192. The other colours are chosen from
            the sheet; only 64 of them if the file would otherwise exceed BYTES.
    """
    image = Image.fromarray(sheet)
    sample = Image.fromarray(np.ascontiguousarray(sheet[::5, ::5]))
    for count in (256 - len(fixed), 64):
        quantized = sample.quantize(count, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        chosen = np.array(quantized.getpalette()).reshape(-1, 3)
        # Pillow looks up colours with a precision of 4 levels, so colours near a fixed colour could replace
        # it
        chosen = chosen[np.abs(chosen[:, None] - fixed.astype(int)).max(axis=2).min(axis=1) >= 8]
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.concatenate([fixed, chosen]).ravel().tolist())
        file = io.BytesIO()
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "PNG")
        if file.tell() <= BYTES:
            break
    return file.getvalue()
