"""Writes small videos and folders of pictures, and reads the outputs of extract."""

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.footage.probe import probe
from vad.store import arrays, tables

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[3] / "shared" / "data"))
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command line here")


def texture(width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth picture with all levels from 0 to 255 that changes under every rotation and reflection."""
    y, x = np.mgrid[:height, :width]
    return np.rint(255 * (0.6 * x / (width - 1) + 0.4 * (y / (height - 1)) ** 2)).astype(np.uint8)


def numbered(n: int, shape: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    """n frames whose eight stripes, dark or bright, are the bits of the frame's number."""
    bit = np.arange(shape[1]) * 8 // shape[1]
    return [np.tile(np.where(i >> bit & 1, 200, 40).astype(np.uint8), (shape[0], 1)) for i in range(n)]


def number(picture: np.ndarray) -> int:
    """The number of a frame made by `numbered`, whatever its size."""
    middles = (2 * np.arange(8) + 1) * picture.shape[1] // 16
    return int(((picture[:, middles].mean(0) > 120) << np.arange(8)).sum())


def extracted(tmp_path: Path, source: Path, first: int = 0, end: int | None = None, **changed):
    """(array, card, table) of extract."""
    params = ExtractParams(**changed)
    stem = tmp_path / "out" / "clip"
    extract(stem, source, first, probe(source).frames if end is None else end, params, threads=1)
    return *arrays.open_array(stem), tables.read_table(stem)


def ffmpeg(*args: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def write_timed(
    path: Path, pictures: list[np.ndarray], times: list[Fraction], color_range: str = "tv"
) -> None:
    """H.264 with a time stamp for each frame, written without `vad.footage.encode.encode`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "1"})
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = "yuv420p" if color_range == "tv" else "yuvj420p"
        tick = Fraction(1, 12_000)
        stream.time_base = stream.codec_context.time_base = tick
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(time / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_pictures(folder: Path, pictures: list[np.ndarray], suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        write_picture(folder / f"{i:03d}{suffix}", picture)
    return folder


def write_picture(path: Path, picture: np.ndarray) -> None:
    ok, data = cv2.imencode(path.suffix, picture[..., ::-1] if picture.ndim == 3 else picture)
    assert ok
    data.tofile(path)
