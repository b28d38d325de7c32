"""Writes the flow of a clip: the work function of the stage `flow`."""

from pathlib import Path

import numpy as np

from vad.flow.base import FlowMethod
from vad.store.arrays import ArrayWriter
from vad.store.cards import write_json
from vad.stream import results
from vad.stream.stored_frames import StoredFrames


def compute_flow(stem: Path, frames: Path, method: FlowMethod, *, threads: int) -> None:
    """Work function: writes the flow of a clip to <stem>.npy, with its card.

    The array is int8 [T, h, w, 2], a result of the method's processor for each frame: displacements in counts
    of card["scale"] pixels of the extracted frame. The card also holds `method`; `frame`, height and width of
    the extracted frame; `clipped`, the share of displacements that were clipped. Of a method that computes no
    flow there is only the card, with `method`, by which other stages see it; no frame is read.

    Args:
        stem: path of the output files, without suffix.
        frames: stem of the clip's frames.
        method: of optical flow.
        threads: maximum number of threads.

    Raises:
        UserError: if the method cannot handle frames of this size.
    """
    if method.scale is None:
        write_json(Path(f"{stem}.json"), {"method": method.name, "hash": "none"})
        return
    clip = StoredFrames(frames)
    processor = method.processor(clip.height, clip.width, threads=threads)
    h, w = processor.height, processor.width
    card = {"method": method.name, "scale": method.scale, "frame": [clip.height, clip.width]}
    with ArrayWriter(stem, (h, w, 2), np.int8, **card) as writer:
        for counts in results(processor, clip):
            assert counts is not None  # a method with a scale computes flow
            writer.append(counts)
        writer.card["clipped"] = round(processor.clipped / (len(clip) * h * w), 6)
