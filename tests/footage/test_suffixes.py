"""Every suffix that counts as a video: a file that ffmpeg writes is listed, and read as ffmpeg reads it."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from tests.footage.videos import ffmpeg, needs_ffmpeg
from vad.footage.decode import frames
from vad.footage.probe import probe
from vad.footage.video import VIDEOS
from vad.layouts.folder import Folder

FRAMES = 12
MPEG2, H264, SMALL = ["-c:v", "mpeg2video"], ["-c:v", "libx264"], ["-s", "352x288"]
PAL = ["-s", "720x576", "-pix_fmt", "yuv420p"]
# options of ffmpeg for suffixes that it does not know, or whose default codec does not exist here
OPTIONS = {
    ".264": ["-f", "h264"],
    ".265": ["-f", "hevc"],
    ".3g2": H264,
    ".3gp": H264,
    ".3gp2": ["-f", "3g2", *H264],
    ".3gpp": ["-f", "3gp", *H264],
    ".avc": ["-f", "h264"],
    ".dav": [
        "-f",
        "h264",
    ],  # recorders wrap the same stream in a container of their own, for which is no encoder
    ".dif": ["-f", "dv", *PAL],
    ".divx": ["-f", "avi", "-c:v", "mpeg4"],
    ".dv": PAL,
    ".dvr-ms": ["-f", "asf"],
    ".evo": ["-f", "vob", *MPEG2],
    ".f4v": H264,
    ".gxf": [*MPEG2, *PAL],
    ".h261": SMALL,
    ".h263": [*SMALL, "-c:v", "h263"],
    ".h265": ["-f", "hevc"],
    ".insv": ["-f", "mp4", *H264],
    ".ismv": H264,
    ".ivf": ["-c:v", "libvpx"],
    ".m2p": ["-f", "vob", *MPEG2],
    ".m2t": ["-f", "mpegts"],
    ".mj2": ["-f", "mov", "-c:v", "jpeg2000"],
    ".mjpg": ["-f", "mjpeg"],
    ".mk3d": ["-f", "matroska"],
    ".mod": ["-f", "vob", *MPEG2],
    ".mpe": ["-f", "mpeg"],
    ".obu": ["-c:v", "libsvtav1"],
    ".ogm": ["-f", "ogg", "-c:v", "libtheora"],
    ".ogv": ["-c:v", "libtheora"],
    ".qt": ["-f", "mov"],
    ".rmvb": ["-f", "rm"],
    ".tod": ["-f", "mpegts", *MPEG2],
    ".tp": ["-f", "mpegts"],
    ".trp": ["-f", "mpegts"],
    ".vro": ["-f", "vob", *MPEG2],
    ".wtv": MPEG2,
    ".y4m": ["-pix_fmt", "yuv420p"],
}
NO_ENCODER = {".266": "vvc", ".h266": "vvc", ".vvc": "vvc", ".vc1": "vc1"}  # suffix -> format of ffmpeg


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = ["-f", "lavfi", "-i", "testsrc=s=128x96:r=25"]
    try:
        ffmpeg(*picture, "-frames:v", FRAMES, "-an", *OPTIONS.get(path.suffix, []), path)
    except subprocess.CalledProcessError as e:
        pytest.skip(f"this ffmpeg cannot write {path.suffix}: {e.stderr.decode()[-200:]}")
    return path


@needs_ffmpeg
@pytest.mark.parametrize("suffix", sorted(VIDEOS - NO_ENCODER.keys()))
def test_files_with_a_known_suffix_are_read_as_ffmpeg_reads_them(tmp_path, suffix):
    path = write(tmp_path / f"test/clip{suffix}")
    (tmp_path / "train").mkdir()
    shutil.copy(path, tmp_path / f"train/clip{suffix}")
    clips = Folder(Folder.Params()).read(tmp_path)
    assert [(clip.id, clip.source) for clip in clips] == [
        ("train/clip", tmp_path / f"train/clip{suffix}"),
        ("test/clip", path),
    ]
    info = probe(path)
    decoded = np.array([frame.pixels for frame in frames(path, "rgb")])
    assert info.frames == len(decoded) == FRAMES
    raw = ffmpeg("-i", path, "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    reference = np.frombuffer(raw, np.uint8).reshape(decoded.shape)
    # colours are rounded in another order; a frame that is not the same differs by much more
    assert np.abs(decoded.astype(int) - reference).mean() < 3


@pytest.mark.parametrize(("suffix", "name"), NO_ENCODER.items())
def test_pyav_opens_suffixes_that_nothing_here_can_write(suffix, name):
    assert suffix[1:] in av.format.ContainerFormat(name, "r").extensions
    assert av.codec.Codec(name, "r").type == "video"


@needs_ffmpeg
def test_suffixes_are_read_in_upper_case_too(tmp_path):
    write(tmp_path / "train/a.m2ts").rename(tmp_path / "train/A.M2TS")
    write(tmp_path / "test/b.asf").rename(tmp_path / "test/B.ASF")
    assert [clip.id for clip in Folder(Folder.Params()).read(tmp_path)] == ["train/A", "test/B"]
