"""Decodes a clip into an array of frames: the work function of the stage `extract`."""

from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.footage import decode, video
from vad.footage.clock import footage_rate
from vad.footage.decode import Decoded
from vad.footage.extract_params import ExtractParams
from vad.footage.pictures import DEFAULT_FORMAT, PictureFormat
from vad.store import arrays, tables
from vad.stream import results


def extract(
    stem: Path,
    source: Path,
    first: int,
    end: int | None,
    params: ExtractParams,
    pictures: PictureFormat = DEFAULT_FORMAT,
    *,
    threads: int = 1,
) -> None:
    """Work function: writes the frames of a clip to <stem>.npy with its card, and <stem>.parquet.

    The array is uint8 [T, H, W] gray or [T, H, W, 3] RGB. The card holds `fps` and `color` of the extracted
    frames; `source_width` and `source_height` of the source set upright; `scale_x` and `scale_y`, the size of
    the extracted frame relative to the source; `times`, the content hash of the table; `source_end`, the
    number after the last source frame; `gaps`, a list of [source frame, seconds, gap] for each gap in time
    stamps before that frame (`clock.Clock`). The table has a row per extracted frame: `source_frame` int32,
    and `seconds` float64, the time of that source frame.

    With `params.fps`, extracted frame k is the latest source frame that is at most k / fps seconds after the
    frame `first`; a rate above that of the source repeats frames. A gap of more than 2 s is not filled.

    Args:
        stem: path of the output files, without suffix.
        source: a video file or a folder of pictures.
        first: number of the first source frame.
        end: number after the last source frame; None for all frames.
        params: rate, size and colour.
        pictures: frame rate and bits of a folder of pictures.
        threads: maximum number of threads.

    Raises:
        UserError: if decoding fails, a frame is damaged, a picture cannot be decoded, the source has fewer
            frames than `end`, the frame size changes, or fewer than two frames result.
    """
    cv2.setNumThreads(threads)
    nominal_rate, decoded = decode.decode(source, params.color, threads, first, end, pictures)
    account = _Account(first)
    resampled = results(decode.Resample(params.fps), account.of(decoded))
    # the first frame is taken out to learn both sizes, and then put back by `chain`
    first_decoded = next(resampled)
    width, height = video.upright_size(first_decoded.frame)
    convert = decode.Convert(params.color, params.max_side)
    frames = results(convert, chain([first_decoded], resampled))
    first_frame = next(frames)
    h, w = first_frame.pixels.shape[:2]
    card = {"source_width": width, "source_height": height, "scale_x": w / width, "scale_y": h / height}
    numbers, times = array("i"), array("d")
    with arrays.ArrayWriter(stem, first_frame.pixels.shape, np.uint8, color=params.color, **card) as writer:
        for frame in chain([first_frame], frames):
            writer.append(frame.pixels)
            numbers.append(frame.number)
            times.append(frame.seconds)
        if len(times) < 2:
            raise UserError(
                f"{source}: frames {first} to {numbers[-1]} at extract.fps = {params.fps} give 1 frame; "
                "a clip needs at least 2"
            )
        columns = {"source_frame": np.array(numbers, np.int32), "seconds": np.array(times, np.float64)}
        table = pd.DataFrame(columns)
        tables.write_table(stem, table)
        writer.card["gaps"], writer.card["source_end"] = account.gaps, account.end
        # whoever depends on the card depends on the times too
        writer.card["times"] = tables.hash_table(table)
        writer.card["fps"] = params.fps or footage_rate(nominal_rate, np.array(times))


class _Account:
    """What is noted of the decoded frames, also of those that resampling leaves out.

    Args:
        first: number of the first frame; a gap before it does not matter.

    Attributes:
        gaps: (source frame, seconds, gap) for each gap in the time stamps.
        end: number after the last frame.
    """

    def __init__(self, first: int):
        self._first = first
        self.gaps: list[tuple[int, float, float]] = []
        self.end = first

    def of(self, decoded: Iterator[Decoded]) -> Iterator[Decoded]:
        """Hands the frames on."""
        for item in decoded:
            if item.gap and item.number > self._first:
                self.gaps.append((item.number, round(item.seconds, 3), round(item.gap, 3)))
            self.end = item.number + 1
            yield item
