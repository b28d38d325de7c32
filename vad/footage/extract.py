"""Decodes a clip to an array of frames: the work of the stage `extract`."""

from array import array
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.footage import decode, video
from vad.footage.pictures import Color
from vad.pipeline.params import Field, Section
from vad.store import arrays, tables


class ExtractParams(Section):
    """`extract`: rate, size and colour of the extracted frames."""

    fps: float | None = Field(
        None, gt=0, description="frames per second to keep, chosen by time stamps; `null` keeps every frame"
    )
    max_side: int | None = Field(
        None, ge=16, description="longer side is shrunk to so many pixels; `null` keeps the size"
    )
    color: Color = Field(
        "gray",
        description="what is kept of the colours; gray is full-range luma for videos and pictures alike",
    )


def extract(
    stem: Path, source: Path, first: int, end: int, params: ExtractParams, *, threads: int = 1
) -> None:
    """Work function: writes the frames of a clip to <stem>.npy with its card, and <stem>.parquet.

    The array is uint8 [T, H, W] gray or [T, H, W, 3] rgb. The card holds `fps` and `color` of the
    extracted frames, `source_width` and `source_height` (upright), and `scale_x`, `scale_y`, by which
    source pixels are multiplied. The table has a row per extracted frame: `source_frame` int32 and
    `seconds` float64, the time of that source frame. Pixels are held frame by frame.

    Resampling follows time stamps: extracted frame k is the latest source frame not later than k / fps
    after `first`, up to the last before `end`; a rate above the source's repeats frames.

    Args:
        stem: of the files to be written.
        source: a video file or a folder of pictures.
        first: number of the first source frame.
        end: number after that of the last source frame.
        params: rate, size and colour.
        threads: at most so many.

    Raises:
        UserError: if decoding fails or meets a damaged frame, if there are fewer frames than `end` or fewer
            than two result, if the size changes on the way, or a picture cannot be decoded.
    """
    cv2.setNumThreads(threads)
    nominal, decoded = decode.decode(source, params.color, threads, first, end)
    chosen = decode.resample(decoded, params.fps)
    start = next(chosen)
    width, height = video.upright_size(start.frame)
    frames = decode.convert(chain([start], chosen), params.color, params.max_side)
    head = next(frames)
    h, w = head.pixels.shape[:2]
    card = {"source_width": width, "source_height": height, "scale_x": w / width, "scale_y": h / height}
    numbers, times = array("i"), array("d")
    with arrays.ArrayWriter(stem, head.pixels.shape, np.uint8, color=params.color, **card) as writer:
        for number, seconds, pixels in chain([head], frames):
            writer.append(pixels)
            numbers.append(number)
            times.append(seconds)
        if len(times) < 2:
            raise UserError(
                f"{source}: frames [{first}, {end}) at extract.fps = {params.fps} give {len(times)} frame; "
                "a clip needs at least 2"
            )
        table = {"source_frame": np.array(numbers, np.int32), "seconds": np.array(times, np.float64)}
        tables.write_table(stem, pd.DataFrame(table))
        writer.card["fps"] = params.fps or video.measured_rate(nominal, len(times), times[-1] - times[0])
