"""Decodes a clip into an array of frames: the work function of the stage `extract`."""

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
        None, gt=0, description="frames per second, resampled by time stamps; `null` keeps every frame"
    )
    max_side: int | None = Field(
        None, ge=16, description="pixels to which the longer side is reduced; `null` keeps the size"
    )
    color: Color = Field(
        "gray",
        description="colour of the frames; gray is full-range luma, for videos and pictures alike",
    )


def extract(
    stem: Path, source: Path, first: int, end: int, params: ExtractParams, *, threads: int = 1
) -> None:
    """Work function: writes the frames of a clip to <stem>.npy with its card, and <stem>.parquet.

    The array is uint8 [T, H, W] gray or [T, H, W, 3] RGB. The card holds `fps` and `color` of the extracted
    frames; `source_width` and `source_height` of the source set upright; `scale_x` and `scale_y`, the size of
    the extracted frame relative to the source. The table has a row per extracted frame: `source_frame` int32,
    and `seconds` float64, the time of that source frame. Only a frame at a time is in memory.

    With `params.fps`, extracted frame k is the latest source frame that is at most k / fps seconds after the
    frame `first`; a rate above that of the source repeats frames.

    Args:
        stem: path of the output files, without suffix.
        source: a video file or a folder of pictures.
        first: number of the first source frame.
        end: number after the last source frame.
        params: rate, size and colour.
        threads: maximum number of threads.

    Raises:
        UserError: if decoding fails, a frame is damaged, a picture cannot be decoded, the source has fewer
            frames than `end`, the frame size changes, or fewer than two frames result.
    """
    cv2.setNumThreads(threads)
    nominal_rate, decoded = decode.decode(source, params.color, threads, first, end)
    resampled = decode.resample(decoded, params.fps)
    # the first frame is taken out to learn both sizes, and then put back by `chain`
    first_decoded = next(resampled)
    width, height = video.upright_size(first_decoded.frame)
    frames = decode.convert(chain([first_decoded], resampled), params.color, params.max_side)
    first_frame = next(frames)
    h, w = first_frame.pixels.shape[:2]
    card = {"source_width": width, "source_height": height, "scale_x": w / width, "scale_y": h / height}
    numbers, times = array("i"), array("d")
    with arrays.ArrayWriter(stem, first_frame.pixels.shape, np.uint8, color=params.color, **card) as writer:
        for number, seconds, pixels in chain([first_frame], frames):
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
        writer.card["fps"] = params.fps or video.measured_rate(nominal_rate, len(times), times[-1] - times[0])
