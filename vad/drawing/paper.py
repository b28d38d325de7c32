"""Sheets of white paper on which pictures and texts are laid, one strip below the other, as PNG.

A strip is uint8 [height, WIDTH, 3] RGB; `np.concatenate` makes a sheet of strips.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from vad.drawing.overlays import INK, PAPER, Color, Font, font

COLUMNS, CELL = 4, 320  # pictures in a row, and the pixels of their longer side
MARGIN, GAP = 16, 8
WIDTH = 2 * MARGIN + COLUMNS * CELL + (COLUMNS - 1) * GAP
BYTES = 600_000  # that a PNG should not exceed: DVC puts them into its page


def strip(height: int, *texts: tuple[str, Font, Color]) -> np.ndarray:
    """Paper with texts one after the other, each shortened to what fits."""
    x, placed = MARGIN, []
    for i, (text, letters, color) in enumerate(texts):
        room = WIDTH - MARGIN - x if i == len(texts) - 1 else WIDTH // 3
        placed.append((x, text := _fitted(text, letters, room), letters, color))
        x += round(letters.getlength(text)) + 16
    return _print(np.full((height, WIDTH, 3), PAPER, np.uint8), height - 8, placed)


def row(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Up to COLUMNS pictures side by side, uint8 [h, w, 3], neither side longer than CELL."""
    paper = strip(max(len(picture) for picture in pictures))
    for i, picture in enumerate(pictures):
        x = MARGIN + i * (CELL + GAP)
        paper[: len(picture), x : x + picture.shape[1]] = picture
    return paper


def captions(texts: Sequence[str]) -> np.ndarray:
    """A text below each picture of a row."""
    placed = [(MARGIN + i * (CELL + GAP), text, font(12), INK) for i, text in enumerate(texts)]
    return _print(strip(20), 14, placed)


def legend(items: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    """Signs, uint8 [h, w, 3], each with what it means, in as many lines as they need."""
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


def _fitted(text: str, letters: Font, room: int) -> str:
    """The text, or as much of its two ends as fits."""
    keep, short = len(text), text
    while keep > 2 and letters.getlength(short) > room:
        keep -= 1
        short = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
    return short


def encode(sheet: np.ndarray, kept: np.ndarray) -> bytes:
    """PNG of a sheet with a palette: the colours `kept`, uint8 [K, 3], K < 192, and chosen ones for the rest.

    These are 64, if more would exceed the limit of bytes. The same sheet gives the same bytes.
    """
    image = Image.fromarray(sheet)
    sample = Image.fromarray(np.ascontiguousarray(sheet[::5, ::5]))
    for count in (256 - len(kept), 64):
        found = sample.quantize(count, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).getpalette()
        chosen = np.array(found).reshape(-1, 3)
        # Pillow looks up colours to 4 levels: what is nearly one of the kept could take its place
        chosen = chosen[np.abs(chosen[:, None] - kept.astype(int)).max(axis=2).min(axis=1) >= 8]
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.concatenate([kept, chosen]).ravel().tolist())
        file = io.BytesIO()
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "PNG")
        if file.tell() <= BYTES:
            break
    return file.getvalue()
