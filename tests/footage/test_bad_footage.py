"""Footage that cannot be read is refused with a single line that names the file and the reason."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.footage.videos import (
    LFS,
    extracted,
    ffmpeg,
    needs_ffmpeg,
    numbered,
    texture,
    write_picture,
    write_pictures,
)
from vad import UserError
from vad.footage.decode import decode_pictures, frames
from vad.footage.encode import encode
from vad.footage.pictures import read_picture
from vad.footage.probe import hash_source, probe


def refused(call, *facts: object) -> None:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for fact in facts:
        assert str(fact) in message, message


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_missing_files_empty_files_and_pointers_are_refused(tmp_path, suffix):
    path = tmp_path / f"no where{suffix}"
    read = probe if suffix == ".mp4" else lambda p: read_picture(p, "gray")
    refused(lambda: read(path), path, "not found")
    refused(lambda: hash_source(path), path, "not found")
    path.write_bytes(b"")
    refused(lambda: read(path), path, "0 bytes")
    path.write_text(LFS)
    refused(lambda: read(path), path, "git lfs pull")
    refused(lambda: hash_source(path), path, "git lfs pull")


def test_files_without_pictures_are_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    refused(lambda: probe(path), path, "not a video file")
    path = tmp_path / "a.txt"
    path.write_text("ffmpeg would film this text\n" * 50)
    refused(lambda: probe(path), path, "not a video file")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    refused(lambda: probe(tmp_path / "sound.mp4"), "sound.mp4", "not a video file")


def test_a_clip_needs_two_frames(tmp_path):
    encode(tmp_path / "a.mp4", numbered(1), 25)
    refused(lambda: probe(tmp_path / "a.mp4"), "a.mp4", "1 frame", "at least 2")
    folder = write_pictures(tmp_path / "walk", numbered(1))
    refused(lambda: probe(folder), "walk", "1 frame", "at least 2")
    refused(lambda: probe(folder / "000.png"), "000.png", "1 frame")
    encode(tmp_path / "b.mp4", numbered(9), 25)
    refused(lambda: extracted(tmp_path, tmp_path / "b.mp4", 0, 9, fps=1.0), "b.mp4", "1 frame", "at least 2")
    assert not (tmp_path / "out" / "clip.json").exists()
    refused(lambda: extracted(tmp_path, tmp_path / "b.mp4", 4, 4), "b.mp4", "[4, 4)")


def whole(tmp_path: Path, suffix: str) -> Path:
    """120 frames of noise, so that the file is much longer than its index."""
    path = tmp_path / f"whole{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (120, 32, 48), dtype=np.uint8)
    encode(path, noise, 25)
    assert probe(path).frames == 120
    return path


@needs_ffmpeg
@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_cut_off_video_is_refused(tmp_path, suffix, keep):
    source, moved = whole(tmp_path, suffix), tmp_path / f"moved{suffix}"
    ffmpeg("-i", source, "-c", "copy", *(["-movflags", "faststart"] if suffix == ".mp4" else []), moved)
    assert probe(moved).frames == 120
    data = moved.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * keep)])
    facts = ["120 frames"] if suffix == ".mp4" else ["4.8"]
    refused(lambda: probe(cut), f"cut{suffix}", "cut off", *facts, "copy or download it again")


def test_a_video_cut_off_before_its_index_is_refused(tmp_path):
    data = whole(tmp_path, ".mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    refused(lambda: probe(tmp_path / "cut.mp4"), "cut.mp4", "cut off", "index is missing")


@pytest.mark.parametrize(
    ("start", "byte", "message"),
    [
        (0, b"\xff", r"6\d of 119 frames are damaged, from frame (5\d|60) to 118 \(2\.\d\d to 4\.76 s\)"),
        (0.5, b"\0", r"60 of 120 frames are damaged, from frame 60 to 119 \(2\.40 to 4\.76 s\)"),
    ],
)
def test_damage_is_counted_until_the_next_key_frame(tmp_path, start, byte, message):
    source = whole(tmp_path, ".mp4")
    with av.open(str(source)) as container:
        entry = container.streams.video[0].index_entries[60]
        cut = slice(entry.pos + int(start * entry.size), entry.pos + entry.size)
    data = bytearray(source.read_bytes())
    data[cut] = byte * (cut.stop - cut.start)
    (tmp_path / "bad.mp4").write_bytes(data)
    with pytest.raises(UserError, match=rf"bad\.mp4: {message}.*copy it again"):
        extracted(tmp_path, tmp_path / "bad.mp4")
    assert not (tmp_path / "out" / "clip.json").exists()
    array, *_ = extracted(tmp_path, tmp_path / "bad.mp4", 0, 40)  # before the damage all is well
    assert len(array) == 40


def test_missing_frames_are_reported_with_their_count(tmp_path):
    encode(tmp_path / "a.mp4", numbered(20), 25)
    refused(lambda: extracted(tmp_path, tmp_path / "a.mp4", 5, 30), "a.mp4", "[5, 30)", "only 20")
    refused(lambda: list(frames(tmp_path / "a.mp4", "gray", first=20)), "a.mp4", "from 20 on", "only 20")
    folder = write_pictures(tmp_path / "walk", numbered(3))
    refused(lambda: extracted(tmp_path, folder, 0, 4), "walk", "[0, 4)", "holds 3")


def test_a_video_whose_size_changes_is_refused(tmp_path):
    pictures = [*numbered(6, (32, 48)), *numbered(6, (48, 64))]
    (tmp_path / "both.mjpeg").write_bytes(b"".join(cv2.imencode(".jpg", p)[1].tobytes() for p in pictures))
    refused(lambda: list(frames(tmp_path / "both.mjpeg", "gray")), "both.mjpeg", "frame 6", "64x48", "48x32")


def test_folders_of_broken_or_differently_sized_pictures_are_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(lambda: probe(empty), "empty", "without pictures", ".png")
    refused(lambda: hash_source(empty), "empty", "without pictures")
    folder = write_pictures(tmp_path / "walk", numbered(4))
    write_picture(folder / "002.png", numbered(1, (20, 30))[0])
    for call in (probe, lambda f: list(decode_pictures(f, "gray", 0, 4))):
        refused(lambda call=call: call(folder), "002.png", "30x20", "000.png", "48x32")
    (folder / "002.png").write_text(LFS)
    refused(lambda: probe(folder), "002.png", "git lfs pull")
    (folder / "002.png").write_bytes(b"no picture at all")
    refused(lambda: probe(folder), "002.png", "not a whole picture")
    (folder / "002.png").write_bytes(b"")
    refused(lambda: probe(folder), "002.png", "0 bytes")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_a_cut_off_picture_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64), dtype=np.uint8)
    folder = write_pictures(tmp_path / "walk", list(noise), suffix)
    extracted(tmp_path, folder)
    path = folder / f"001{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    refused(lambda: extracted(tmp_path, folder, 0, 3), path.name, "not a whole picture")


def test_encode_refuses_odd_sides_no_frames_and_other_shapes(tmp_path):
    path = tmp_path / "a.mp4"
    refused(lambda: encode(path, numbered(2, (31, 48)), 25), "a.mp4", "48x31", "even")
    refused(lambda: encode(path, [], 25), "a.mp4", "no frames")
    refused(lambda: encode(path, [*numbered(2), texture()], 25), "a.mp4", "frame 2", "(48, 64)", "(32, 48)")
    assert not path.exists()
