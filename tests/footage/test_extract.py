"""Reading and writing footage against independent references: given gray levels, brute force, ffmpeg."""

import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vad import UserError
from vad.footage.decode import Decoded, decode_pictures, frames, resample
from vad.footage.encode import encode
from vad.footage.extract import ExtractParams, extract
from vad.footage.pictures import is_picture_folder, list_pictures, read_picture
from vad.footage.probe import Info, hash_source, probe
from vad.store import arrays, tables

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command line here")


def texture(width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth picture that uses all levels from 0 to 255 and looks the same from no two sides."""
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


def run(tmp_path: Path, source: Path, first: int = 0, end: int | None = None, **changed):
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


@pytest.mark.parametrize(
    "wrong",
    [{"fps": 0.0}, {"fps": -1.0}, {"fps": "25"}, {"max_side": 15}, {"max_side": 99.5}, {"color": "bgr"}],
)
def test_params_are_checked(wrong):
    with pytest.raises(ValidationError):
        ExtractParams(**wrong)


# --- order, counts, times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov", ".ts", ".flv"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_frame_once_and_in_order(tmp_path, suffix, threads):
    source = tmp_path / f"clip{suffix}"
    encode(source, numbered(90), 25, crf=5)
    got = list(frames(source, "gray", threads))
    assert [n for n, _, _ in got] == list(range(90))
    assert [number(picture) for *_, picture in got] == list(range(90))
    np.testing.assert_allclose([t for _, t, _ in got], np.arange(90) / 25, atol=1e-3)
    assert probe(source) == Info(90, 25.0, 48, 32)


def test_files(tmp_path):
    encode(tmp_path / "a.mp4", numbered(40), 29.97, crf=5)
    array, card, table = run(tmp_path, tmp_path / "a.mp4", 10, 35, max_side=24)
    assert array.shape == (25, 16, 24)
    assert array.dtype == np.uint8
    assert [number(f) for f in array] == list(range(10, 35))
    expected = {"source_width": 48, "source_height": 32, "scale_x": 0.5, "scale_y": 0.5, "color": "gray"}
    assert {k: card[k] for k in expected} == expected
    assert card["fps"] == pytest.approx(29.97)
    assert table.source_frame.dtype == np.int32
    assert table.seconds.dtype == np.float64
    assert table.source_frame.tolist() == list(range(10, 35))
    np.testing.assert_allclose(table.seconds, np.arange(10, 35) / 29.97, atol=1e-4)


def test_same_input_same_bytes(tmp_path):
    def once(name: str) -> list[bytes]:
        folder = tmp_path / name
        encode(folder / "a.mp4", numbered(20), 10)
        run(folder, folder / "a.mp4", fps=5.0)
        return [p.read_bytes() for p in sorted(folder.rglob("*.*"))]

    first = once("one")
    assert len(first) == 4
    assert first == once("two")


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (None, [*range(10)]),
        (10.0, [*range(10)]),
        (5.0, [0, 2, 4, 6, 8]),
        (4.0, [0, 2, 5, 7]),
        (20.0, [i // 2 for i in range(19)]),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_constant_rate_resampled(tmp_path, suffix, fps, expected):
    encode(tmp_path / f"a{suffix}", numbered(10), 10, crf=5)
    array, card, table = run(tmp_path, tmp_path / f"a{suffix}", fps=fps)
    assert table.source_frame.tolist() == expected
    assert [number(f) for f in array] == expected
    assert card["fps"] == pytest.approx(fps or 10)
    np.testing.assert_allclose(table.seconds, np.array(expected) / 10, atol=1e-3)


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_rounded_time_stamps_neither_drop_nor_repeat(tmp_path, fps):
    """Matroska keeps milliseconds: 0.033, 0.067, … at 30 frames per second."""
    encode(tmp_path / "a.mkv", numbered(60), fps, crf=5)
    *_, table = run(tmp_path, tmp_path / "a.mkv", 7, fps=fps)
    assert table.source_frame.tolist() == list(range(7, 60))


@pytest.mark.parametrize("fps", [3.0, 7.0, 12.5, 40.0])
@pytest.mark.parametrize("first", [0, 13])
def test_variable_rate_against_brute_force(tmp_path, fps, first):
    rng = np.random.default_rng(3)
    steps = rng.integers(200, 4_000, 60)  # 1/60 s to 1/3 s, in ticks
    times = [Fraction(int(t), 12_000) for t in np.r_[0, np.cumsum(steps)][:60]]
    write_timed(tmp_path / "a.mp4", numbered(60), times)
    array, _, table = run(tmp_path, tmp_path / "a.mp4", first, 55, fps=fps)
    expected, k = [], 0
    while k / fps <= times[54] - times[first] + Fraction(11, 10_000):
        limit = k / fps + 0.0011
        expected.append(max(i for i in range(first, 55) if times[i] - times[first] <= limit))
        k += 1
    assert table.source_frame.tolist() == expected
    assert [number(f) for f in array] == expected
    np.testing.assert_allclose(table.seconds, [float(times[i]) for i in expected], atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 3_000), min_size=1, max_size=40),
    st.sampled_from([1.0, 7.5, 23.976, 25.0, 120.0]),
)
def test_resampling_against_brute_force(milliseconds, fps):
    times = np.r_[0, np.cumsum(milliseconds)] / 1000 + 5
    got = [n for n, *_ in resample((Decoded(i, t, None) for i, t in enumerate(times)), fps)]
    ticks = np.arange(int((times[-1] - 5 + 0.0011) * fps + 1e-9) + 1) / fps
    late = (times[None] - 5) - ticks[:, None]
    if np.abs(late - 0.0011).min() > 1e-9:  # no frame exactly on the edge
        assert got == [int(np.flatnonzero(row <= 0.0011)[-1]) for row in late]


def test_avi_with_frames_coded_out_of_order(tmp_path):
    """AVI has no times of display; what PyAV calls pts there goes back and forth."""
    y, x = np.mgrid[:96, :128]
    waves = [127 + 60 * np.sin(x / 5 + i / 3) + 60 * np.cos(y / 7 - i / 4) for i in range(50)]
    encode(tmp_path / "a.avi", [w.astype(np.uint8) for w in waves], 25)
    with av.open(str(tmp_path / "a.avi")) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps != sorted(stamps)
    assert probe(tmp_path / "a.avi") == Info(50, 25.0, 128, 96)
    array, _, table = run(tmp_path, tmp_path / "a.avi")
    np.testing.assert_allclose(table.seconds, np.arange(50) / 25)
    assert all(np.abs(a - w).mean() < 4 for a, w in zip(array, waves, strict=True))


def test_average_rate_follows_the_time_stamps(tmp_path):
    write_timed(tmp_path / "a.mp4", numbered(11), [Fraction(i * i, 20) for i in range(11)])
    assert probe(tmp_path / "a.mp4").fps == pytest.approx(10 / 5, rel=0.1)
    _, card, _ = run(tmp_path, tmp_path / "a.mp4", 0, 5)
    assert card["fps"] == pytest.approx(4 / (16 / 20))


def test_file_without_time_stamps(tmp_path):
    encode(tmp_path / "a.mp4", numbered(30), 25)
    with av.open(str(tmp_path / "a.mp4")) as source, open(tmp_path / "a.h264", "wb") as raw:
        stream = source.streams.video[0]
        to_stream = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in source.demux(stream):
            for part in to_stream.filter(packet) if packet.size else []:
                raw.write(bytes(part))
    assert probe(tmp_path / "a.h264") == Info(30, 25.0, 48, 32)
    array, card, table = run(tmp_path, tmp_path / "a.h264")
    assert [number(f) for f in array] == list(range(30))
    np.testing.assert_allclose(table.seconds, np.arange(30) / 25)
    assert card["fps"] == 25


# --- gray, colour, size, rotation


def test_limited_and_full_range_and_pictures_give_one_gray(tmp_path):
    picture = texture()
    times = [Fraction(i, 25) for i in range(3)]
    write_timed(tmp_path / "limited.mp4", [picture] * 3, times)
    write_timed(tmp_path / "full.mp4", [picture] * 3, times, color_range="pc")
    encode(tmp_path / "ours.mp4", [picture] * 3, 25, crf=1)
    write_pictures(tmp_path / "pngs", [picture] * 3)
    with av.open(str(tmp_path / "full.mp4")) as container:
        assert next(container.decode(video=0)).format.name == "yuvj420p"
    pngs, *_ = run(tmp_path, tmp_path / "pngs")
    assert (pngs == picture).all()
    for name in ("limited.mp4", "full.mp4", "ours.mp4"):
        array, *_ = run(tmp_path, tmp_path / name)
        difference = np.abs(array[1].astype(int) - picture)
        assert difference.max() <= 4, name  # a limited range taken as it is would be 20 off
        assert difference.mean() < 1, name


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p", "yuyv422", "nv12", "gray", "gray10le", "bgr0"])
@needs_ffmpeg
def test_gray_of_other_pixel_formats(tmp_path, pixels):
    encode(tmp_path / "a.mp4", [texture()] * 3, 25, crf=1)
    codec = "rawvideo" if pixels in ("yuyv422", "nv12") else "ffv1"
    ffmpeg("-i", tmp_path / "a.mp4", "-c:v", codec, "-pix_fmt", pixels, tmp_path / "b.mkv")
    array, *_ = run(tmp_path, tmp_path / "b.mkv")
    assert np.abs(array[1].astype(int) - texture()).max() <= 4


def test_rgb_comes_back(tmp_path):
    picture = np.stack([texture(), texture()[::-1], 255 - texture() // 2], -1)
    encode(tmp_path / "a.mp4", [picture] * 3, 25, crf=1)
    array, card, _ = run(tmp_path, tmp_path / "a.mp4", color="rgb")
    assert array.shape == (3, 48, 64, 3)
    assert card["color"] == "rgb"
    assert np.abs(array[1].astype(int) - picture).mean() < 3
    write_pictures(tmp_path / "pngs", [picture] * 2)
    array, *_ = run(tmp_path, tmp_path / "pngs", color="rgb")
    assert (array[1] == picture).all()
    gray, *_ = run(tmp_path, tmp_path / "pngs")
    luma = picture @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray[1] - luma).max() < 1


@pytest.mark.parametrize(
    ("side", "expected"), [(None, (48, 64)), (64, (48, 64)), (999, (48, 64)), (16, (12, 16))]
)
def test_size_shrinks_by_area_and_never_grows(tmp_path, side, expected):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    write_pictures(tmp_path / "pngs", [noise] * 2)
    array, card, _ = run(tmp_path, tmp_path / "pngs", max_side=side)
    assert array.shape[1:] == expected
    assert (card["scale_y"], card["scale_x"]) == (expected[0] / 48, expected[1] / 64)
    if side == 16:
        mean = noise.reshape(12, 4, 16, 4).mean((1, 3))
        assert np.abs(array[0] - mean).max() <= 1


@pytest.mark.parametrize(("angle", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_rotation_metadata(tmp_path, angle, turns):
    """`angle` in degrees anticlockwise, as in the display matrix."""
    encode(tmp_path / "a.mp4", [texture()] * 5, 25, crf=1)
    with av.open(str(tmp_path / "a.mp4")) as a, av.open(str(tmp_path / "b.mp4"), "w") as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        stream.set_display_rotation(angle)
        for packet in a.demux(video=0):
            if packet.size:
                packet.stream = stream
                b.mux(packet)
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height) == ((48, 64) if turns % 2 else (64, 48))
    array, card, _ = run(tmp_path, tmp_path / "b.mp4", max_side=32)
    assert (card["source_width"], card["source_height"]) == (info.width, info.height)
    assert max(array.shape[1:]) == 32
    array, *_ = run(tmp_path, tmp_path / "b.mp4")
    if shutil.which("ffmpeg"):
        expected = np.frombuffer(
            ffmpeg("-i", tmp_path / "b.mp4", "-f", "rawvideo", "-pix_fmt", "gray", "-"), np.uint8
        )
        expected = expected.reshape(array.shape)[0]
    else:
        expected = np.rot90(texture(), turns)
    assert np.abs(array[0].astype(int) - expected).max() <= 4


@needs_ffmpeg
@pytest.mark.datasets
def test_real_clip_equals_ffmpeg(tmp_path):
    source = DATA / "samples" / "one-by-one-person-detection.mp4"
    if not source.is_file():
        pytest.skip(f"{source} is not here; set VAD_DATASETS")
    shape, cut = (200, 216, 384), "scale=384:216:flags=area,format=gray"
    raw = ffmpeg("-i", source, "-frames:v", 200, "-vf", cut, "-f", "rawvideo", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(shape)
    array, *_ = run(tmp_path, source, 0, 200, max_side=384)
    assert np.abs(array.astype(int) - expected).max() <= 1
    # every frame is the one it should be, not its neighbour
    for i in range(20, 199, 20):
        assert (
            np.abs(array[i].astype(int) - expected[i]).sum()
            < np.abs(array[i].astype(int) - expected[i + 1]).sum()
        )
    luma = ffmpeg("-i", source, "-frames:v", 20, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    luma = np.frombuffer(luma, np.uint8).reshape(20, 432, 768).astype(float)
    array, *_ = run(tmp_path, source, 0, 20)
    assert np.abs(array - np.clip((luma - 16) * 255 / 219, 0, 255)).max() <= 1


@pytest.mark.datasets
def test_real_sources_are_whole():
    videos = [*(DATA / "samples").glob("*.mp4"), *(DATA / "samples").glob("*.avi")]
    if not videos:
        pytest.skip(f"no footage under {DATA}; set VAD_DATASETS")
    assert {p.name: probe(p) for p in videos} == {
        "one-by-one-person-detection.mp4": Info(1394, 10.0, 768, 432),
        "vtest-480x360.avi": Info(795, 10.0, 480, 360),
    }


# --- pictures


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".jpg", ".JPEG", ".png", ".BMP"])
def test_picture_folders(tmp_path, suffix):
    folder = write_pictures(tmp_path / "pictures", numbered(5), suffix)
    assert is_picture_folder(folder)
    assert probe(folder) == Info(5, 25.0, 48, 32)
    array, card, table = run(tmp_path, folder, 1, 5)
    assert [number(f) for f in array] == [1, 2, 3, 4]
    assert card["fps"] == 25.0
    assert table.seconds.tolist() == [0.04, 0.08, 0.12, 0.16]


def test_natural_order_hidden_files_and_other_files(tmp_path):
    for i in (1, 2, 3, 10, 11, 100):
        write_picture(tmp_path / f"Frame{i}.png", numbered(101)[i])
    (tmp_path / "._Frame1.png").write_bytes(b"resource fork of macOS")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "sub.png").mkdir()
    names = [p.name for p in list_pictures(tmp_path)]
    assert names == [f"Frame{i}.png" for i in (1, 2, 3, 10, 11, 100)]
    assert [number(f) for *_, f in frames(tmp_path, "gray")] == [1, 2, 3, 10, 11, 100]
    assert not is_picture_folder(tmp_path / "sub.png")
    assert not is_picture_folder(tmp_path / "notes.txt")


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    write_picture(tmp_path / "a.png", texture().astype(np.uint16) * 257)
    assert np.abs(read_picture(tmp_path / "a.png", "gray").astype(int) - texture()).max() <= 1


def test_exif_orientation_is_respected(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    for i in range(2):
        Image.fromarray(texture()).save(tmp_path / f"{i}.jpg", exif=exif, quality=100)
    assert probe(tmp_path) == Info(2, 25.0, 48, 64)
    picture = read_picture(tmp_path / "0.jpg", "gray")
    assert np.abs(picture.astype(int) - np.rot90(texture(), -1)).max() <= 4


@pytest.mark.parametrize("name", ["Gang zur Tür", "散歩 01", "50%d it's: [1]", "-i"])
def test_names_of_any_kind(tmp_path, name):
    source = tmp_path / name / f"{name}.mp4"
    encode(source, numbered(4), 10, crf=5)
    array, *_ = run(tmp_path, source)
    assert [number(f) for f in array] == [0, 1, 2, 3]
    folder = write_pictures(tmp_path / f"{name} pictures", numbered(3))
    array, *_ = run(tmp_path, folder)
    assert [number(f) for f in array] == [0, 1, 2]


def test_relative_name_with_a_colon(tmp_path, monkeypatch):
    """ffmpeg would take "http:" for a protocol."""
    monkeypatch.chdir(tmp_path)
    source = Path("http: 12:30.mp4")
    encode(source, numbered(4), 10)
    assert probe(source).frames == 4
    array, *_ = run(Path("out"), source)
    assert [number(f) for f in array] == [0, 1, 2, 3]


def test_hash_follows_content(tmp_path):
    folder = write_pictures(tmp_path / "a", numbered(3))
    other = shutil.copytree(folder, tmp_path / "b")
    assert hash_source(folder) == hash_source(other)
    (other / ".hidden.png").write_bytes(b"x")
    assert hash_source(folder) == hash_source(other)
    (other / "002.png").rename(other / "003.png")
    assert hash_source(folder) != hash_source(other)
    assert hash_source(folder / "000.png") != hash_source(folder / "001.png")
    shutil.copy(folder / "000.png", tmp_path / "same bytes.png")
    assert hash_source(folder / "000.png") == hash_source(tmp_path / "same bytes.png")


# --- bad input: one line that names the file and the facts


def refused(call, *facts: object) -> None:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for fact in facts:
        assert str(fact) in message, message


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_missing_empty_and_pointers(tmp_path, suffix):
    path = tmp_path / f"no where{suffix}"
    read = probe if suffix == ".mp4" else lambda p: read_picture(p, "gray")
    refused(lambda: read(path), path, "not found")
    refused(lambda: hash_source(path), path, "not found")
    path.write_bytes(b"")
    refused(lambda: read(path), path, "0 bytes")
    path.write_text(LFS)
    refused(lambda: read(path), path, "git lfs pull")
    refused(lambda: hash_source(path), path, "git lfs pull")


def test_no_video(tmp_path):
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


def test_one_frame(tmp_path):
    encode(tmp_path / "a.mp4", numbered(1), 25)
    refused(lambda: probe(tmp_path / "a.mp4"), "a.mp4", "1 frame", "at least 2")
    folder = write_pictures(tmp_path / "walk", numbered(1))
    refused(lambda: probe(folder), "walk", "1 frame", "at least 2")
    refused(lambda: probe(folder / "000.png"), "000.png", "1 frame")
    encode(tmp_path / "b.mp4", numbered(9), 25)
    refused(lambda: run(tmp_path, tmp_path / "b.mp4", 0, 9, fps=1.0), "b.mp4", "1 frame", "at least 2")
    assert not (tmp_path / "out" / "clip.json").exists()
    refused(lambda: run(tmp_path, tmp_path / "b.mp4", 4, 4), "b.mp4", "[4, 4)")


def whole(tmp_path: Path, suffix: str) -> Path:
    """120 frames of noise, so that a cut is far from the end of the file's index."""
    path = tmp_path / f"whole{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (120, 32, 48), dtype=np.uint8)
    encode(path, noise, 25)
    assert probe(path).frames == 120
    return path


@needs_ffmpeg
@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_cut_off(tmp_path, suffix, keep):
    source, moved = whole(tmp_path, suffix), tmp_path / f"moved{suffix}"
    ffmpeg("-i", source, "-c", "copy", *(["-movflags", "faststart"] if suffix == ".mp4" else []), moved)
    assert probe(moved).frames == 120
    data = moved.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * keep)])
    facts = ["120 frames"] if suffix == ".mp4" else ["4.8"]
    refused(lambda: probe(cut), f"cut{suffix}", "cut off", *facts, "copy or download it again")


def test_cut_off_before_the_index(tmp_path):
    data = whole(tmp_path, ".mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    refused(lambda: probe(tmp_path / "cut.mp4"), "cut.mp4", "cut off", "index is missing")


@pytest.mark.parametrize(
    ("start", "byte", "message"),
    [(0, b"\xff", r"decoding fails at frame (5\d|60) of 120"), (0.5, b"\0", "frame 60 of 120 is damaged")],
)
def test_damage_in_the_middle(tmp_path, start, byte, message):
    source = whole(tmp_path, ".mp4")
    with av.open(str(source)) as container:
        entry = container.streams.video[0].index_entries[60]
        cut = slice(entry.pos + int(start * entry.size), entry.pos + entry.size)
    data = bytearray(source.read_bytes())
    data[cut] = byte * (cut.stop - cut.start)
    (tmp_path / "bad.mp4").write_bytes(data)
    with pytest.raises(UserError, match=rf"bad\.mp4: {message}.*copy it again"):
        run(tmp_path, tmp_path / "bad.mp4")
    assert not (tmp_path / "out" / "clip.json").exists()
    array, *_ = run(tmp_path, tmp_path / "bad.mp4", 0, 40)  # before the damage all is well
    assert len(array) == 40


def test_fewer_frames_than_promised(tmp_path):
    encode(tmp_path / "a.mp4", numbered(20), 25)
    refused(lambda: run(tmp_path, tmp_path / "a.mp4", 5, 30), "a.mp4", "[5, 30)", "only 20")
    refused(lambda: list(frames(tmp_path / "a.mp4", "gray", first=20)), "a.mp4", "from 20 on", "only 20")
    folder = write_pictures(tmp_path / "walk", numbered(3))
    refused(lambda: run(tmp_path, folder, 0, 4), "walk", "[0, 4)", "holds 3")


def test_size_changes_in_mid_stream(tmp_path):
    pictures = [*numbered(6, (32, 48)), *numbered(6, (48, 64))]
    (tmp_path / "both.mjpeg").write_bytes(b"".join(cv2.imencode(".jpg", p)[1].tobytes() for p in pictures))
    refused(lambda: list(frames(tmp_path / "both.mjpeg", "gray")), "both.mjpeg", "frame 6", "64x48", "48x32")


def test_bad_folders(tmp_path):
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
def test_cut_off_picture(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64), dtype=np.uint8)
    folder = write_pictures(tmp_path / "walk", list(noise), suffix)
    run(tmp_path, folder)
    path = folder / f"001{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    refused(lambda: run(tmp_path, folder, 0, 3), path.name, "not a whole picture")


def test_encode_refuses(tmp_path):
    path = tmp_path / "a.mp4"
    refused(lambda: encode(path, numbered(2, (31, 48)), 25), "a.mp4", "48x31", "even")
    refused(lambda: encode(path, [], 25), "a.mp4", "no frames")
    refused(lambda: encode(path, [*numbered(2), texture()], 25), "a.mp4", "frame 2", "(48, 64)", "(32, 48)")
    assert not path.exists()


# --- memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_length(tmp_path):
    script = """
import sys; from pathlib import Path
from vad.footage.extract import ExtractParams, extract
def peak(): return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
folder, params = Path(sys.argv[1]), ExtractParams()
extract(folder / "o", folder / "300.mp4", 0, 300, params)
before = peak()
extract(folder / "o", folder / "3000.mp4", 0, 3000, params)
print(peak() - before)
"""
    for n in (300, 3000):
        encode(tmp_path / f"{n}.mp4", (texture(160, 120) for _ in range(n)), 25)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 10_000  # kB; the frames together have 58 MB
