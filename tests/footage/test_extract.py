"""Reading and writing footage against independent references: given gray levels, brute force, ffmpeg."""

import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.footage.videos import (
    DATA,
    extracted,
    ffmpeg,
    needs_ffmpeg,
    number,
    numbered,
    texture,
    write_picture,
    write_pictures,
    write_timed,
)
from vad.footage.decode import Convert, Decoded, Resample, frames, from_array
from vad.footage.encode import encode
from vad.footage.extract_params import ExtractParams
from vad.footage.pictures import is_picture_folder, list_pictures, read_picture
from vad.footage.probe import Info, hash_source, probe
from vad.stream import results


@pytest.mark.parametrize(
    "wrong",
    [{"fps": 0.0}, {"fps": -1.0}, {"fps": "25"}, {"max_side": 15}, {"max_side": 99.5}, {"color": "bgr"}],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        ExtractParams(**wrong)


# --- order, counts, times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov", ".ts", ".flv"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_frame_is_decoded_once_and_in_order(tmp_path, suffix, threads):
    source = tmp_path / f"clip{suffix}"
    encode(source, numbered(90), 25, crf=5)
    got = list(frames(source, "gray", threads))
    assert [frame.number for frame in got] == list(range(90))
    assert [number(frame.pixels) for frame in got] == list(range(90))
    np.testing.assert_allclose([frame.seconds for frame in got], np.arange(90) / 25, atol=1e-3)
    assert probe(source) == Info(90, 25.0, 48, 32)


def test_array_card_and_table_of_a_clip(tmp_path):
    encode(tmp_path / "a.mp4", numbered(40), 29.97, crf=5)
    array, card, table = extracted(tmp_path, tmp_path / "a.mp4", 10, 35, max_side=24)
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


def test_the_card_depends_on_the_times(tmp_path):
    """Two clips of the same pictures, of which the second is slower after its first frames."""
    cards = []
    for name, last in (("a.mp4", 3), ("b.mp4", 9)):
        write_timed(tmp_path / name, numbered(4), [Fraction(t, 10) for t in (0, 1, 2, last)])
        array, card, _ = extracted(tmp_path, tmp_path / name)
        assert [number(f) for f in array] == [0, 1, 2, 3]
        cards.append(card)
    assert cards[0]["hash"] == cards[1]["hash"]
    assert cards[0]["times"] != cards[1]["times"]


def test_same_input_same_bytes(tmp_path):
    def once(name: str) -> list[bytes]:
        folder = tmp_path / name
        encode(folder / "a.mp4", numbered(20), 10)
        extracted(folder, folder / "a.mp4", fps=5.0)
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
def test_a_constant_rate_is_resampled_by_time(tmp_path, suffix, fps, expected):
    encode(tmp_path / f"a{suffix}", numbered(10), 10, crf=5)
    array, card, table = extracted(tmp_path, tmp_path / f"a{suffix}", fps=fps)
    assert table.source_frame.tolist() == expected
    assert [number(f) for f in array] == expected
    assert card["fps"] == pytest.approx(fps or 10)
    np.testing.assert_allclose(table.seconds, np.array(expected) / 10, atol=1e-3)


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_rounded_time_stamps_neither_drop_nor_repeat(tmp_path, fps):
    """Matroska keeps milliseconds: 0.033, 0.067, … at 30 frames per second."""
    encode(tmp_path / "a.mkv", numbered(60), fps, crf=5)
    *_, table = extracted(tmp_path, tmp_path / "a.mkv", 7, fps=fps)
    assert table.source_frame.tolist() == list(range(7, 60))


@pytest.mark.parametrize("fps", [3.0, 7.0, 12.5, 40.0])
@pytest.mark.parametrize("first", [0, 13])
def test_variable_rate_against_brute_force(tmp_path, fps, first):
    rng = np.random.default_rng(3)
    steps = rng.integers(200, 4_000, 60)  # 1/60 s to 1/3 s, in ticks
    times = [Fraction(int(t), 12_000) for t in np.r_[0, np.cumsum(steps)][:60]]
    write_timed(tmp_path / "a.mp4", numbered(60), times)
    array, _, table = extracted(tmp_path, tmp_path / "a.mp4", first, 55, fps=fps)
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
    """Stretches between gaps of more than 2 s are resampled by themselves."""
    assume(2000 not in milliseconds)  # no gap exactly on the edge
    times = np.r_[0, np.cumsum(milliseconds)] / 1000 + 5
    got = [n for n, *_ in results(Resample(fps), (Decoded(i, t, None) for i, t in enumerate(times)))]
    expected, begins = [], [0, *(np.flatnonzero(np.array(milliseconds) > 2000) + 1), len(times)]
    for begin, end in pairwise(begins):
        after = times[begin:end] - times[begin]
        ticks = np.arange(int((after[-1] + 0.0011) * fps + 1e-9) + 1) / fps
        late = after[None] - ticks[:, None]
        assume(np.abs(late - 0.0011).min() > 1e-9)  # no frame exactly on the edge
        expected += [begin + int(np.flatnonzero(row <= 0.0011)[-1]) for row in late]
    assert got == expected


@pytest.mark.parametrize("fps", [None, 4.0, 30.0])
def test_resampling_waits_for_a_single_frame(fps):
    """Each frame is handed on as soon as its successor is there, and the rest at the end."""
    times = [0.0, 0.1, 0.2, 0.3, 0.7, 0.75, 0.8]
    resample = Resample(fps)
    got = [[n for n, *_ in resample.process(Decoded(i, t, None))] for i, t in enumerate(times)]
    got.append([n for n, *_ in resample.finish()])
    if fps is None:
        assert resample.lookahead == 0
        assert got == [[i] for i in range(7)] + [[]]
    else:
        assert resample.lookahead == 1
        for i, numbers in enumerate(got):
            assert set(numbers) <= {i - 1}
        kept = [n for numbers in got for n in numbers]
        last = {4.0: 3, 30.0: 24}[fps]  # of k / fps up to 0.8 s
        assert kept == [max(i for i, t in enumerate(times) if t <= k / fps + 1e-3) for k in range(last + 1)]


def test_a_repeated_frame_is_the_same_array(tmp_path):
    encode(tmp_path / "a.mp4", numbered(5), 10, crf=5)
    got = list(frames(tmp_path / "a.mp4", "gray", fps=20.0))
    assert [f.number for f in got] == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    for a, b in pairwise(got):
        assert (a.pixels is b.pixels) == (a.number == b.number)


@pytest.mark.parametrize("fps", [None, 7.0])
@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_arrays_give_the_frames_of_a_folder_of_the_same_pictures(tmp_path, color, fps):
    picture = np.stack([texture(), texture()[::-1], 255 - texture() // 2], -1)
    pictures = [np.roll(picture if color == "rgb" else texture(), 3 * i, 0) for i in range(6)]
    folder = write_pictures(tmp_path / "pngs", pictures)
    array, _, table = extracted(tmp_path, folder, color=color, fps=fps, max_side=40)
    fed = (from_array(i, i / 25, picture) for i, picture in enumerate(pictures))
    got = list(results(Convert(color, 40), results(Resample(fps), fed)))
    assert [f.number for f in got] == table.source_frame.tolist()
    assert [f.seconds for f in got] == table.seconds.tolist()
    np.testing.assert_array_equal(np.stack([f.pixels for f in got]), array)


def test_arrays_may_be_overwritten_and_have_any_layout():
    picture = np.stack([texture(), texture()[::-1], 255 - texture() // 2], -1)
    for buffer in (
        picture.copy(),
        picture.copy()[:, ::-1],
        np.asfortranarray(picture),
        picture.copy()[..., 0],
    ):
        given = buffer.copy()
        (frame,) = Convert("rgb", None).process(decoded := from_array(3, 1.5, buffer))
        buffer[:] = 0
        expected = given if given.ndim == 3 else np.repeat(given[..., None], 3, 2)
        np.testing.assert_array_equal(frame.pixels, expected)
        assert frame[:2] == decoded[:2] == (3, 1.5)
        (again,) = Convert("rgb", None).process(decoded)
        np.testing.assert_array_equal(again.pixels, expected)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_arrays_of_another_shape_or_type_are_refused(pixels):
    with pytest.raises(ValueError, match=r"^frame 7: expected uint8 \[H, W\] or \[H, W, 3\], got "):
        from_array(7, 0.0, pixels)


def test_avi_with_frames_coded_out_of_order(tmp_path):
    """AVI has no display times; the values that PyAV reports as pts are not monotonic."""
    y, x = np.mgrid[:96, :128]
    waves = [127 + 60 * np.sin(x / 5 + i / 3) + 60 * np.cos(y / 7 - i / 4) for i in range(50)]
    encode(tmp_path / "a.avi", [w.astype(np.uint8) for w in waves], 25)
    with av.open(str(tmp_path / "a.avi")) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps != sorted(stamps)
    assert probe(tmp_path / "a.avi") == Info(50, 25.0, 128, 96)
    array, _, table = extracted(tmp_path, tmp_path / "a.avi")
    np.testing.assert_allclose(table.seconds, np.arange(50) / 25)
    assert all(np.abs(a - w).mean() < 4 for a, w in zip(array, waves, strict=True))


def test_average_rate_follows_the_time_stamps(tmp_path):
    write_timed(tmp_path / "a.mp4", numbered(11), [Fraction(i * i, 20) for i in range(11)])
    assert probe(tmp_path / "a.mp4").fps == pytest.approx(10 / 5, rel=0.1)
    _, card, _ = extracted(tmp_path, tmp_path / "a.mp4", 0, 5)
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
    array, card, table = extracted(tmp_path, tmp_path / "a.h264")
    assert [number(f) for f in array] == list(range(30))
    np.testing.assert_allclose(table.seconds, np.arange(30) / 25)
    assert card["fps"] == 25


# --- gray, colour, size, rotation


def test_limited_and_full_range_and_pictures_give_the_same_gray(tmp_path):
    picture = texture()
    times = [Fraction(i, 25) for i in range(3)]
    write_timed(tmp_path / "limited.mp4", [picture] * 3, times)
    write_timed(tmp_path / "full.mp4", [picture] * 3, times, color_range="pc")
    encode(tmp_path / "ours.mp4", [picture] * 3, 25, crf=1)
    write_pictures(tmp_path / "pngs", [picture] * 3)
    with av.open(str(tmp_path / "full.mp4")) as container:
        assert next(container.decode(video=0)).format.name == "yuvj420p"
    pngs, *_ = extracted(tmp_path, tmp_path / "pngs")
    assert (pngs == picture).all()
    for name in ("limited.mp4", "full.mp4", "ours.mp4"):
        array, *_ = extracted(tmp_path, tmp_path / name)
        difference = np.abs(array[1].astype(int) - picture)
        assert difference.max() <= 4, name  # a limited range taken as it is would be 20 off
        assert difference.mean() < 1, name


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p", "yuyv422", "nv12", "gray", "gray10le", "bgr0"])
@needs_ffmpeg
def test_gray_of_other_pixel_formats(tmp_path, pixels):
    encode(tmp_path / "a.mp4", [texture()] * 3, 25, crf=1)
    codec = "rawvideo" if pixels in ("yuyv422", "nv12") else "ffv1"
    ffmpeg("-i", tmp_path / "a.mp4", "-c:v", codec, "-pix_fmt", pixels, tmp_path / "b.mkv")
    array, *_ = extracted(tmp_path, tmp_path / "b.mkv")
    assert np.abs(array[1].astype(int) - texture()).max() <= 4


def test_rgb_is_decoded_as_encoded(tmp_path):
    picture = np.stack([texture(), texture()[::-1], 255 - texture() // 2], -1)
    encode(tmp_path / "a.mp4", [picture] * 3, 25, crf=1)
    array, card, _ = extracted(tmp_path, tmp_path / "a.mp4", color="rgb")
    assert array.shape == (3, 48, 64, 3)
    assert card["color"] == "rgb"
    assert np.abs(array[1].astype(int) - picture).mean() < 3
    write_pictures(tmp_path / "pngs", [picture] * 2)
    array, *_ = extracted(tmp_path, tmp_path / "pngs", color="rgb")
    assert (array[1] == picture).all()
    gray, *_ = extracted(tmp_path, tmp_path / "pngs")
    luma = picture @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray[1] - luma).max() < 1


@pytest.mark.parametrize(
    ("side", "expected"), [(None, (48, 64)), (64, (48, 64)), (999, (48, 64)), (16, (12, 16))]
)
def test_size_shrinks_by_area_and_never_grows(tmp_path, side, expected):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    write_pictures(tmp_path / "pngs", [noise] * 2)
    array, card, _ = extracted(tmp_path, tmp_path / "pngs", max_side=side)
    assert array.shape[1:] == expected
    assert (card["scale_y"], card["scale_x"]) == (expected[0] / 48, expected[1] / 64)
    if side == 16:
        mean = noise.reshape(12, 4, 16, 4).mean((1, 3))
        assert np.abs(array[0] - mean).max() <= 1


@pytest.mark.parametrize(("angle", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_frames_are_set_upright(tmp_path, angle, turns):
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
    array, card, _ = extracted(tmp_path, tmp_path / "b.mp4", max_side=32)
    assert (card["source_width"], card["source_height"]) == (info.width, info.height)
    assert max(array.shape[1:]) == 32
    array, *_ = extracted(tmp_path, tmp_path / "b.mp4")
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
    array, *_ = extracted(tmp_path, source, 0, 200, max_side=384)
    assert np.abs(array.astype(int) - expected).max() <= 1
    # every frame is the one it should be, not its neighbour
    for i in range(20, 199, 20):
        assert (
            np.abs(array[i].astype(int) - expected[i]).sum()
            < np.abs(array[i].astype(int) - expected[i + 1]).sum()
        )
    luma = ffmpeg("-i", source, "-frames:v", 20, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    luma = np.frombuffer(luma, np.uint8).reshape(20, 432, 768).astype(float)
    array, *_ = extracted(tmp_path, source, 0, 20)
    assert np.abs(array - np.clip((luma - 16) * 255 / 219, 0, 255)).max() <= 1


@pytest.mark.datasets
def test_real_sources_are_probed_with_their_published_properties():
    videos = [*(DATA / "samples").glob("*.mp4"), *(DATA / "samples").glob("*.avi")]
    if not videos:
        pytest.skip(f"no footage under {DATA}; set VAD_DATASETS")
    assert {p.name: probe(p) for p in videos} == {
        "one-by-one-person-detection.mp4": Info(1394, 10.0, 768, 432),
        "vtest-480x360.avi": Info(795, 10.0, 480, 360),
    }


# --- pictures


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".jpg", ".JPEG", ".png", ".BMP"])
def test_a_folder_of_pictures_is_a_video(tmp_path, suffix):
    folder = write_pictures(tmp_path / "pictures", numbered(5), suffix)
    assert is_picture_folder(folder)
    assert probe(folder) == Info(5, 25.0, 48, 32)
    array, card, table = extracted(tmp_path, folder, 1, 5)
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
    assert [number(f.pixels) for f in frames(tmp_path, "gray")] == [1, 2, 3, 10, 11, 100]
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
def test_file_names_of_any_kind_can_be_read(tmp_path, name):
    source = tmp_path / name / f"{name}.mp4"
    encode(source, numbered(4), 10, crf=5)
    array, *_ = extracted(tmp_path, source)
    assert [number(f) for f in array] == [0, 1, 2, 3]
    folder = write_pictures(tmp_path / f"{name} pictures", numbered(3))
    array, *_ = extracted(tmp_path, folder)
    assert [number(f) for f in array] == [0, 1, 2]


def test_a_name_with_a_colon_is_not_taken_for_a_protocol(tmp_path, monkeypatch):
    """ffmpeg would take "http:" for a protocol."""
    monkeypatch.chdir(tmp_path)
    source = Path("http: 12:30.mp4")
    encode(source, numbered(4), 10)
    assert probe(source).frames == 4
    array, *_ = extracted(Path("out"), source)
    assert [number(f) for f in array] == [0, 1, 2, 3]


def test_the_hash_changes_with_names_and_bytes(tmp_path):
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


# --- memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_length(tmp_path):
    script = """
import sys; from pathlib import Path
from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
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
