"""Videos whose packets, clocks, colours or orientation are unusual, against ffmpeg and known pictures."""

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.footage.field_pairs import write_field_pairs
from tests.footage.videos import (
    DATA,
    extracted,
    ffmpeg,
    needs_ffmpeg,
    number,
    numbered,
    texture,
    write_timed,
)
from vad import UserError
from vad.footage.clock import CLOSED_STEPS, LONGEST_GAP, Clock
from vad.footage.encode import encode
from vad.footage.probe import probe

pytestmark = needs_ffmpeg
SOURCE = "testsrc2=s=128x96:r=25:d=4"


def pixels(*args, **changed) -> np.ndarray:
    """The frames of extract, copied, since further calls write to the same files."""
    return np.array(extracted(*args, **changed)[0])


def make(path: Path, *options: object, source: str = SOURCE) -> Path:
    """A test picture encoded by ffmpeg."""
    ffmpeg("-f", "lavfi", "-i", source, *options, path)
    return path


def shown(path: Path) -> list[int]:
    """Checksums of the frames that ffmpeg shows."""
    lines = ffmpeg("-i", path, "-map", "0:v:0", "-vsync", "0", "-pix_fmt", "gray", "-f", "framecrc", "-")
    return [int(line.rsplit(b",", 1)[1], 16) for line in lines.splitlines() if not line.startswith(b"#")]


def consistent(tmp_path: Path, path: Path) -> np.ndarray:
    """Extracts all frames, which must be as many as ffmpeg shows and as probing counts."""
    info = probe(path)
    array, _, table = extracted(tmp_path, path, end=None)
    array = np.array(array)
    assert len(array) == info.frames == len(shown(path))
    assert table.source_frame.tolist() == list(range(info.frames))
    return array


# --- gray is luma as coded


@pytest.mark.parametrize(
    ("suffix", "codec", "levels"),
    [
        (".mp4", "libx264 -qp 0", "tv"),
        (".mp4", "libx264 -qp 0", "pc"),
        (".mkv", "ffv1", "tv"),
        (".mkv", "ffv1", "pc"),
        (".mov", "mjpeg", "pc"),  # JPEG is full range
    ],
)
def test_gray_does_not_depend_on_the_header(tmp_path, suffix, codec, levels):
    arrays, rgb = [], []
    for matrix in ("unknown", "bt709", "smpte170m", "bt2020nc", "bt2020c", "ycgco"):
        for transfer in ("unknown", "bt709", "smpte2084") if matrix == "bt709" else ("unknown",):
            path = tmp_path / f"{matrix}-{transfer}{suffix}"
            tags = ["-colorspace", matrix, "-color_trc", transfer, "-color_range", levels]
            form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            make(path, "-frames:v", 10, "-c:v", *codec.split(), "-pix_fmt", form, *tags)
            arrays.append(pixels(tmp_path, path))
            rgb.append(pixels(tmp_path, path, 0, 2, color="rgb"))
    raw = ffmpeg("-i", path, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    luma = np.frombuffer(raw, np.uint8).reshape(arrays[0].shape).astype(float)
    expected = luma if levels == "pc" else np.clip((luma - 16) * 255 / 219, 0, 255)
    assert np.abs(arrays[0] - expected).max() <= 0.5
    for array in arrays[1:]:
        np.testing.assert_array_equal(array, arrays[0])
    if codec != "mjpeg":  # whose header has no place for a matrix
        assert np.abs(rgb[0].astype(int) - rgb[1]).max() > 5  # colours do depend on it


@pytest.mark.datasets
def test_gray_of_a_real_clip_that_is_tagged(tmp_path):
    source = DATA / "samples" / "vtest-480x360.avi"
    if not source.is_file():
        pytest.skip(f"{source} is not here; set VAD_DATASETS")
    with av.open(str(source)) as container:
        assert next(container.decode(video=0)).colorspace == 1  # BT.709
    cut = ["-frames:v", 100, "-vf", "extractplanes=y", "-vsync", 0]
    raw = ffmpeg("-i", source, *cut, "-f", "rawvideo", "-")
    luma = np.frombuffer(raw, np.uint8).reshape(100, 360, 480).astype(float)
    array, *_ = extracted(tmp_path, source, 0, 100)
    assert np.abs(array - np.clip((luma - 16) * 255 / 219, 0, 255)).max() <= 0.5


# --- packets are not frames


@pytest.mark.parametrize("suffix", [".h264", ".ts", ".m2ts", ".mkv", ".mp4", ".avi", ".vob"])
def test_field_pairs_are_single_frames(tmp_path, suffix):
    pictures = [np.random.default_rng(i).integers(16, 236, (64, 64), np.uint8) for i in range(30)]
    write_field_pairs(tmp_path / "pairs.h264", pictures)
    path = tmp_path / f"a{suffix}"
    if suffix != ".h264":
        ffmpeg("-i", tmp_path / "pairs.h264", "-c", "copy", path)
    else:
        (tmp_path / "pairs.h264").rename(path)
    array = consistent(tmp_path, path)
    expected = (np.stack(pictures).astype(float) - 16) * 255 / 219
    assert np.abs(array - expected).max() <= 0.5


@pytest.fixture(scope="module")
def hidden_frames(tmp_path_factory) -> Path:
    """A VP8 video, with reference frames that are never shown, in packets of their own."""
    folder = tmp_path_factory.mktemp("hidden")
    log = ["-passlogfile", folder / "log"]
    make(folder / "x.webm", "-c:v", "libvpx", "-b:v", "100k", *log, "-pass", 1)
    options = ["-auto-alt-ref", 1, "-lag-in-frames", 25, *log, "-pass", 2]
    return make(folder / "a.webm", "-c:v", "libvpx", "-b:v", "100k", *options)


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".ivf", ".avi"])
def test_hidden_frames_do_not_count(tmp_path, hidden_frames, suffix):
    path = tmp_path / f"b{suffix}"
    ffmpeg("-i", hidden_frames, "-c", "copy", path)
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) > 100
    assert len(consistent(tmp_path, path)) == 100


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize(
    ("codec", "suffixes"),
    [
        ("libx265 -x265-params open-gop=1:keyint=25:bframes=3:log-level=error", ".mkv .mp4 .ts"),
        ("libx264 -x264-params open-gop=1:keyint=25:bframes=3", ".mkv .mp4"),
        ("mpeg2video -g 12 -bf 2", ".mkv .ts"),
    ],
)
def test_pictures_after_an_open_start_do_not_count(tmp_path, codec, suffixes, suffix):
    if suffix not in suffixes.split():
        pytest.skip("ffmpeg writes no such file")
    make(tmp_path / "whole.mkv", "-c:v", *codec.split())
    ffmpeg("-ss", 1.5, "-i", tmp_path / "whole.mkv", "-c", "copy", tmp_path / f"cut{suffix}")
    array = consistent(tmp_path, tmp_path / f"cut{suffix}")
    whole = pixels(tmp_path, tmp_path / "whole.mkv")
    np.testing.assert_array_equal(array, whole[-len(array) :])


@pytest.mark.parametrize("codec", ["libx264 -g 25 -bf 2", "mpeg2video -g 12 -bf 2", "mpeg4 -g 25"])
def test_a_recording_that_starts_between_key_frames(tmp_path, codec):
    whole = make(tmp_path / "a.ts", "-c:v", *codec.split()).read_bytes()
    (tmp_path / "b.ts").write_bytes(whole[len(whole) // 188 // 8 * 188 :])
    array = consistent(tmp_path, tmp_path / "b.ts")
    assert 50 < len(array) < 95


def test_what_is_not_unusual_is_not_decoded(tmp_path, monkeypatch):
    """Probing such a file reads its packets alone, as fast as before."""
    monkeypatch.setattr("vad.footage.probe_video._decode_all", None)
    for suffix in (".mp4", ".mkv", ".ts", ".avi", ".mov", ".flv"):
        assert probe(make(tmp_path / f"a{suffix}", "-c:v", "libx264")).frames == 100
    # a telephone in dim light
    times = np.cumsum(np.random.default_rng(0).choice([2, 3, 4], 100))
    write_timed(tmp_path / "b.mp4", numbered(100), [Fraction(int(t), 60) for t in times])
    assert probe(tmp_path / "b.mp4").frames == 100


# --- clocks


JOINED = [(".ts", "libx264"), (".m2ts", "libx264"), (".vob", "mpeg2video"), (".mpg", "mpeg1video")]


@pytest.mark.parametrize(
    ("suffix", "codec"), [*JOINED, (".webm", "libvpx"), (".mkv", "mjpeg"), (".ogv", "libtheora")]
)
def test_recordings_joined_to_one_file(tmp_path, suffix, codec):
    parts = [
        make(tmp_path / f"{i}{suffix}", "-c:v", codec, "-g", 25, source=f"testsrc2=s=128x96:r=25:d={d}")
        for i, d in enumerate((1.2, 2.4))
    ]
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(joined)
    assert (info.frames, info.fps) == (90, 25)
    (note,) = (note for note in info.notes if note.kind == "gaps in time stamps")
    assert "frame 30" in note.detail
    array, card, table = extracted(tmp_path, joined)
    array = np.array(array)
    np.testing.assert_allclose(table.seconds, np.arange(90) / 25, atol=2e-3)
    expected = np.concatenate([pixels(tmp_path, part) for part in parts])
    np.testing.assert_array_equal(array, expected)
    assert [(frame, gap < 0) for frame, _, gap in card["gaps"]] == [(30, True)]
    *_, table = extracted(tmp_path, joined, fps=5.0)
    assert table.source_frame.tolist() == list(range(0, 90, 5))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("jump", [Fraction(3), Fraction(30), Fraction(5 * 3600)])
@pytest.mark.parametrize("at", [1, 40])
def test_gaps_are_listed_and_left_out_of_times(tmp_path, suffix, jump, at):
    times = [Fraction(i, 25) + (jump if i >= at else 0) for i in range(60)]
    write_timed(tmp_path / f"a{suffix}", numbered(60), times)
    info = probe(tmp_path / f"a{suffix}")
    assert info.frames == 60
    assert info.fps == pytest.approx(25)
    assert f"s before frame {at}" in info.notes[0].detail
    array, card, table = extracted(tmp_path, tmp_path / f"a{suffix}")
    assert [number(f) for f in array] == list(range(60))
    assert card["fps"] == pytest.approx(25)
    np.testing.assert_allclose(table.seconds, np.arange(60) / 25, atol=2e-3)
    ((frame, seconds, gap),) = card["gaps"]
    assert frame == at
    assert seconds == pytest.approx(at / 25, abs=2e-3)
    assert gap == pytest.approx(float(jump) + 0.04, abs=2e-3)
    *_, table = extracted(tmp_path, tmp_path / f"a{suffix}", fps=5.0)
    assert table.source_frame.tolist() == list(range(0, 60, 5))


@pytest.mark.parametrize(
    ("fps", "pause", "listed"),
    [(25, Fraction(4, 5), False), (5, Fraction(7, 10), False), (5, Fraction(2), True)],
)
def test_short_pauses_count_in_times(tmp_path, fps, pause, listed):
    """Up to a second, or 20 frame intervals; they are listed from a second and three intervals on."""
    times = [Fraction(i, fps) + (pause if i >= 30 else 0) for i in range(60)]
    write_timed(tmp_path / "a.mkv", numbered(60), times)
    _, card, table = extracted(tmp_path, tmp_path / "a.mkv")
    np.testing.assert_allclose(table.seconds, [float(t) for t in times], atol=2e-3)
    assert [frame for frame, *_ in card["gaps"]] == [30] * listed


@pytest.mark.parametrize("offset", [-Fraction(3, 2), Fraction(3, 2), Fraction(3600), -Fraction(2, 25)])
@pytest.mark.parametrize("frames", [1, 7])
def test_wrong_stamps_that_return_change_nothing_else(offset, frames):
    clock = Clock(Fraction(1, 1000), 0.04)
    stamps = [i * Fraction(1, 25) + (offset if 50 <= i < 50 + frames else 0) + 10 for i in range(100)]
    times = [clock.time(int(stamp * 1000))[0] for stamp in stamps]
    np.testing.assert_allclose(times, np.arange(100) / 25, atol=1e-9)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".asf", "libx264 -bf 3"), (".mxf", "libx264 -bf 3"), (".wmv", "mpeg2video -bf 2")]
)
def test_files_without_display_times(tmp_path, suffix, codec):
    make(tmp_path / f"a{suffix}", "-c:v", *codec.split())
    info = probe(tmp_path / f"a{suffix}")
    assert (info.frames, info.fps) == (100, 25)
    *_, table = extracted(tmp_path, tmp_path / f"a{suffix}")
    np.testing.assert_allclose(table.seconds, np.arange(100) / 25, atol=2e-3)


def test_a_slow_time_lapse_has_no_gaps(tmp_path):
    write_timed(tmp_path / "a.mp4", numbered(20), [Fraction(5 * i) for i in range(20)])
    info = probe(tmp_path / "a.mp4")
    assert info.fps == pytest.approx(0.2)
    assert info.notes == ()
    _, card, table = extracted(tmp_path, tmp_path / "a.mp4")
    assert card["gaps"] == []
    np.testing.assert_allclose(table.seconds, 5.0 * np.arange(20))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(10**7), 10**7)), min_size=1, max_size=60))
def test_times_never_go_back_nor_jump_far(stamps):
    """Whatever the stamps in milliseconds, at a frame interval of 40 ms."""
    clock = Clock(Fraction(1, 1000), 0.04)
    got = [clock.time(stamp) for stamp in stamps]
    times = [seconds for seconds, _ in got]
    assert times[0] == 0
    steps = [b - a for a, b in pairwise(times)]
    assert all(step >= 0 for step in steps)
    longest = max(LONGEST_GAP, CLOSED_STEPS * 0.04)
    for step in steps:
        assert step <= longest + 1e-9
        longest = max(longest, CLOSED_STEPS * step)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(10, 200), min_size=1, max_size=60), st.integers(-(10**9), 10**9))
def test_regular_stamps_are_kept(steps, start):
    clock = Clock(Fraction(1, 1000), 0.04)
    stamps = np.cumsum([start, *steps])
    got = [clock.time(int(stamp)) for stamp in stamps]
    assert got == [((int(stamp) - start) / 1000, 0.0) for stamp in stamps]


# --- damage


def drop(source: Path, target: Path, number: int, packet: int = 1) -> None:
    """Drops a packet of 188 bytes of the frame `number` in coding order from a transport stream."""
    data = source.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    ours = [i for i, p in enumerate(packets) if (p[1] & 31) << 8 | p[2] == 256]
    starts = [i for i, n in enumerate(ours) if packets[n][1] & 0x40]
    del packets[ours[starts[number] + packet]]
    target.write_bytes(b"".join(packets))


@pytest.mark.parametrize(
    "codec", ["libx264 -g 25", "libx265 -x265-params log-level=error:keyint=25", "mpeg2video -g 25"]
)
@pytest.mark.parametrize(("at", "first"), [(60, 55), (50, 45)])
def test_lost_packets_are_refused_with_the_frames_that_they_spoil(tmp_path, codec, at, first):
    whole = make(
        tmp_path / "a.ts", "-c:v", *codec.split(), "-b:v", "2M", source=SOURCE.replace("128x96", "320x240")
    )
    drop(whole, tmp_path / "b.ts", at)
    with pytest.raises(
        UserError, match=r"b\.ts: \d+ of \d+ frames are damaged, from frame \d+ to \d+ \("
    ) as caught:
        probe(tmp_path / "b.ts")
    words = str(caught.value).partition("frame ")[2].split()
    assert first <= int(words[0]) <= at
    assert int(words[0]) <= int(words[2]) < 100
    array = pixels(tmp_path, tmp_path / "b.ts", 0, first - 5)
    np.testing.assert_array_equal(array, pixels(tmp_path, whole, 0, first - 5))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_lost_key_frame_spoils_what_follows(tmp_path, suffix):
    """Decoders leave out the frames up to the next key frame, as if they had never been."""
    whole = make(
        tmp_path / f"a{suffix}", "-c:v", "libx265", "-x265-params", "log-level=error:keyint=25:scenecut=0"
    )
    path = tmp_path / f"b{suffix}"
    with av.open(str(whole)) as a, av.open(str(path), "w") as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        key_frames = 0
        for packet in a.demux(video=0):
            key_frames += packet.is_keyframe
            if packet.size and not (packet.is_keyframe and key_frames == 2):
                packet.stream = stream
                b.mux(packet)
    with pytest.raises(
        UserError, match=rf"b{suffix}: 2\d of 9\d frames are damaged, from frame 2\d to \d\d \("
    ):
        extracted(tmp_path, path, 0, probe(path).frames)


def test_joined_recordings_with_open_starts_lose_their_leading_pictures_alone(tmp_path):
    codec = ["-c:v", "libx265", "-x265-params", "open-gop=1:keyint=25:bframes=3:log-level=error"]
    make(tmp_path / "whole.mkv", *codec)
    ffmpeg("-ss", 1.5, "-i", tmp_path / "whole.mkv", "-c", "copy", tmp_path / "cut.ts")
    alone = pixels(tmp_path, tmp_path / "cut.ts")
    (tmp_path / "two.ts").write_bytes((tmp_path / "cut.ts").read_bytes() * 2)
    assert probe(tmp_path / "two.ts").frames == 2 * len(alone)
    both = pixels(tmp_path, tmp_path / "two.ts")
    # the first frames of the second recording may come before the last of the first, as ffmpeg shows them
    assert sorted(f.tobytes() for f in both) == sorted(2 * [f.tobytes() for f in alone])


@pytest.mark.parametrize("suffix", [".mxf", ".flv"])
def test_other_headers_that_promise_more(tmp_path, suffix):
    data = make(tmp_path / f"a{suffix}", "-c:v", "mpeg2video" if suffix == ".mxf" else "flv").read_bytes()
    assert probe(tmp_path / f"a{suffix}").frames == 100
    (tmp_path / f"b{suffix}").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UserError, match=rf"b{suffix}: cut off: its header promises 4\.\d\d s"):
        probe(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("reset", [0, 1])
def test_recorders_that_start_a_file_anew_lose_nothing(tmp_path, reset):
    """The counters of the packets start anew too, as if packets were lost."""
    options = ["-f", "segment", "-segment_time", 1, "-reset_timestamps", reset]
    make(tmp_path / "part%d.ts", "-c:v", "libx264", "-g", 25, *options)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"part{i}.ts").read_bytes() for i in range(4)))
    with av.open(str(joined)) as container:
        assert any(packet.is_corrupt for packet in container.demux(video=0))
    assert len(consistent(tmp_path, joined)) == 100


# --- orientation


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_all_orientations_are_set_upright(tmp_path, angle, mirrored, suffix):
    encode(tmp_path / "a.mp4", [texture()] * 5, 25, crf=1)
    path = tmp_path / f"b{suffix}"
    with av.open(str(tmp_path / "a.mp4")) as a, av.open(str(path), "w") as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        stream.set_display_rotation(angle, hflip=mirrored)
        for packet in a.demux(video=0):
            if packet.size:
                packet.stream = stream
                b.mux(packet)
    array, card, _ = extracted(tmp_path, path)
    info = probe(path)
    assert (card["source_height"], card["source_width"]) == array.shape[1:] == (info.height, info.width)
    raw = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(array.shape)
    assert np.abs(array.astype(int) - expected).max() <= 4
    # the eight orientations differ, so that a wrong one would not pass
    turned = np.rot90(texture(), angle // 90)
    assert np.abs(array[0].astype(int) - (turned[:, ::-1] if mirrored else turned)).max() <= 4


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_an_exif_orientation_within_a_video_of_jpegs(tmp_path, orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(3):
        Image.fromarray(texture()).save(tmp_path / f"{i}.jpg", exif=exif, quality=100)
    data = b"".join((tmp_path / f"{i}.jpg").read_bytes() for i in range(3))
    (tmp_path / "a.mjpeg").write_bytes(data)
    expected = np.rot90(texture(), turns)
    info = probe(tmp_path / "a.mjpeg")
    assert (info.frames, info.height, info.width) == (3, *expected.shape)
    array, *_ = extracted(tmp_path, tmp_path / "a.mjpeg")
    assert np.abs(array.astype(int) - expected).max() <= 4


# --- several streams


def test_of_several_streams_the_largest_is_read(tmp_path):
    make(tmp_path / "a.ts", "-c:v", "libx264", source=SOURCE.replace("128x96", "64x48"))
    make(tmp_path / "b.ts", "-c:v", "libx264")
    streams = ["-i", tmp_path / "a.ts", "-i", tmp_path / "b.ts", "-map", 0, "-map", 1]
    ffmpeg(*streams, "-c", "copy", tmp_path / "two.ts")
    assert probe(tmp_path / "two.ts").width == 128


def test_a_second_video_stream_is_noted_and_a_cover_is_not(tmp_path):
    make(tmp_path / "a.mkv", "-c:v", "libx264")
    make(tmp_path / "b.mkv", "-c:v", "libx264", source=SOURCE.replace("128x96", "64x48"))
    ffmpeg(
        "-i",
        tmp_path / "a.mkv",
        "-i",
        tmp_path / "b.mkv",
        "-map",
        0,
        "-map",
        1,
        "-c",
        "copy",
        tmp_path / "two.mkv",
    )
    info = probe(tmp_path / "two.mkv")
    assert (info.frames, info.width) == (100, 128)
    (note,) = info.notes
    assert "further video streams are not read" in note.kind
    assert "64x48" in note.detail
    cover = tmp_path / "cover.png"
    ffmpeg("-i", tmp_path / "b.mkv", "-frames:v", 1, cover)
    options = ["-map", 0, "-map", 1, "-c", "copy", "-disposition:v:1", "attached_pic"]
    ffmpeg("-i", tmp_path / "a.mkv", "-i", cover, *options, tmp_path / "film.mp4")
    assert probe(tmp_path / "film.mp4").notes == ()


def test_a_video_without_any_frame_is_refused(tmp_path):
    """Its start was cut off, and with it the parameters without which nothing can be decoded."""
    make(tmp_path / "a.mp4", "-c:v", "libx264", "-x264-params", "open-gop=1:keyint=25:bframes=3")
    command = ["ffmpeg", "-v", "quiet", "-y", "-ss", "1.5", "-i", tmp_path / "a.mp4", "-c", "copy"]
    subprocess.run([*command, tmp_path / "b.ts"], check=True)
    with pytest.raises(UserError, match=r"b\.ts: holds 0 frames"):
        probe(tmp_path / "b.ts")
