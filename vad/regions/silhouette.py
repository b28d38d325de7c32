"""Look at what stands out from the background: one region per frame, the frame reduced to silhouettes."""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from vad import regions as table
from vad.pipeline.params import Section
from vad.regions.background import ForegroundParams, changing, foreground
from vad.store import arrays, cards

PICTURES = {"binary": ["silhouette"], "masked": ["masked"], "frame+mask": ["frame", "silhouette"]}


class Params(Section):
    """`preprocess.silhouette`

    `output`: what of it goes into a tensor: `binary` the silhouettes alone, `masked` the frame, black
    outside the silhouettes, `frame+mask` the frame and the silhouettes as one more channel.
    """

    foreground: ForegroundParams
    output: Literal["binary", "masked", "frame+mask"]


SAME_SIZE = True


def needs_flow(params: Params) -> bool:
    """Never."""
    return False


def prepare(params: Params, cache: Path) -> tuple[None, list[str]]:
    """Nothing is needed."""
    return None, []


def regions(stem: Path, frames: Path, flow: Path, params: Params, ready: None, *, threads: int) -> None:
    """Writes one region per frame, the frame itself, and its silhouettes; flow is not read.

    <stem>.silhouette.npy is uint8 [T, H, ceil(W / 8)], as `vad.store.bitmasks.open_masks` reads it. The card has
    the mean share of foreground pixels as `foreground`.
    """
    cv2.setNumThreads(threads)
    video, _ = arrays.open_array(frames)
    length, height, width = video.shape[:3]
    silhouettes, seen = Path(f"{stem}.silhouette"), 0
    shape = (height, -(-width // 8))
    with arrays.ArrayWriter(silhouettes, shape, np.uint8, height=height, width=width) as writer:
        for mask in foreground(video, params.foreground):
            writer.append(np.packbits(mask, axis=-1))
            seen += int(np.count_nonzero(mask))
    table.write(
        stem,
        table.whole_frames(length, height, width),
        picture=PICTURES[params.output],
        also=[cards.read_card(silhouettes)["hash"]],
        foreground=round(seen / (length * height * width), 6),
        changing=round(changing(video), 6),
    )
