"""Files: the rate, the frames and the times are those of the stage `extract`, and so are the errors."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.footage.field_pairs import write_field_pairs
from tests.footage.test_video_kinds import SOURCE, drop, make
from tests.footage.videos import (
    DATA,
    LFS,
    needs_ffmpeg,
    numbered,
    texture,
    write_picture,
    write_pictures,
    write_timed,
)
from vad import UserError, synthetic
from vad.footage.decode import Convert
from vad.footage.encode import encode
from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.footage.pictures import Color, PictureFormat
from vad.inputs.files import open_file
from vad.inputs.source import Source, find_sources
from vad.store import arrays, tables
from vad.stream import results
from vad.synthetic import clips


def source(path: Path) -> Source:
    (found,) = find_sources([str(path)])
    return found


def equals_the_pipeline(
    tmp_path: Path, path: Path, color: Color = "gray", pictures: PictureFormat | None = None
) -> float:
    """Holds rate, frames and times equal to what `extract` stores; returns the rate."""
    pictures = pictures or PictureFormat()
    stem = tmp_path / "extracted" / "clip"
    extract(stem, path, 0, None, ExtractParams(color=color), pictures)
    array, card = arrays.open_array(stem)
    table = tables.read_table(stem)
    opened = open_file(source(path), color, pictures=pictures)
    frames = list(results(Convert(color, None), opened.decoded))
    assert opened.fps == card["fps"]
    assert opened.frames == len(frames)
    assert [frame.number for frame in frames] == table["source_frame"].tolist()
    assert [frame.seconds for frame in frames] == table["seconds"].tolist()
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in frames]), array)
    return opened.fps


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_clips_of_the_sample(tmp_path, color):
    synthetic.generate(tmp_path / "sample", clips=clips.TEST[:2], frames=60)
    for path in (tmp_path / "sample" / "test").rglob("*.mp4"):
        equals_the_pipeline(tmp_path, path, color)


@pytest.mark.parametrize("start", [0, 7])
def test_times_that_vary_and_need_not_begin_at_0(tmp_path, start):
    steps = np.random.default_rng(0).choice([2, 3, 4, 7], 100)
    times = [Fraction(int(t) + start, 59) for t in np.cumsum(steps)]
    write_timed(tmp_path / "a.mp4", numbered(100), times)
    fps = equals_the_pipeline(tmp_path, tmp_path / "a.mp4")
    assert fps == pytest.approx(99 / float(times[-1] - times[0]), rel=0.021)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "libx264 -bf 2 -output_ts_offset 3.3"),
        (".mkv", "libx264 -bf 2"),
        (".ts", "libx264 -bf 2"),
        (".avi", "mpeg4 -bf 2"),
        (".wmv", "wmv2"),
        (".mxf", "mpeg2video -bf 2"),
        (".flv", "libx264 -bf 2"),
        (".webm", "libvpx"),
        (".gif", "gif"),
        (".mjpeg", "mjpeg"),
        (".h264", "libx264"),
    ],
)
def test_containers(tmp_path, suffix, codec):
    path = make(tmp_path / f"a{suffix}", "-vf", "select='mod(n,7)'", "-vsync", "vfr", "-c:v", *codec.split())
    equals_the_pipeline(tmp_path, path, "rgb")


@needs_ffmpeg
def test_recordings_with_gaps_field_pairs_open_starts_and_rotation(tmp_path):
    parts = [make(tmp_path / f"{i}.ts", "-c:v", "libx264", "-g", 25).read_bytes() for i in range(2)]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    assert equals_the_pipeline(tmp_path, tmp_path / "joined.ts") == 25
    (tmp_path / "open.ts").write_bytes(parts[0][len(parts[0]) // 188 // 8 * 188 :])
    equals_the_pipeline(tmp_path, tmp_path / "open.ts")
    pictures = [np.random.default_rng(i).integers(16, 236, (64, 64), np.uint8) for i in range(30)]
    write_field_pairs(tmp_path / "pairs.h264", pictures)
    equals_the_pipeline(tmp_path, tmp_path / "pairs.h264")
    with av.open(str(tmp_path / "turned.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.height, stream.width, stream.pix_fmt = *texture().shape, "yuv420p"
        stream.set_display_rotation(90)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(texture(), format="gray")))
        container.mux(stream.encode(None))
    equals_the_pipeline(tmp_path, tmp_path / "turned.mp4")
    pause = [Fraction(n, 10) + (30 if n >= 40 else 0) for n in range(80)]
    write_timed(tmp_path / "pause.mp4", numbered(80), pause)
    assert equals_the_pipeline(tmp_path, tmp_path / "pause.mp4") == pytest.approx(10)


@pytest.mark.datasets
def test_real_clips(tmp_path):
    for name in ("samples/vtest-480x360.avi", "gmdcsa"):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{path} is not here; set VAD_DATASETS")
        found = find_sources([str(path)])[0].address
        assert isinstance(found, Path)
        equals_the_pipeline(tmp_path, found)


def test_a_folder_of_pictures_has_the_given_rate(tmp_path):
    folder = write_pictures(tmp_path / "walk", [np.roll(texture(), n) for n in range(12)])
    assert equals_the_pipeline(tmp_path, folder, pictures=PictureFormat(7.5)) == 7.5
    assert equals_the_pipeline(tmp_path, folder, "rgb", PictureFormat(7.5)) == 7.5


def test_a_single_picture(tmp_path):
    picture = np.dstack([texture(), texture()[::-1], texture()[:, ::-1]])
    write_picture(tmp_path / "a.png", picture)
    opened = open_file(source(tmp_path / "a.png"), "rgb")
    (frame,) = results(Convert("rgb", None), opened.decoded)
    assert (opened.frames, frame.number, frame.seconds) == (1, 0, 0.0)
    np.testing.assert_array_equal(frame.pixels, picture)
    dark = (texture().astype(np.uint16) << 4)[..., None]
    cv2.imwrite(str(tmp_path / "deep.png"), dark)
    with pytest.raises(UserError, match="nearly black"):
        open_file(source(tmp_path / "deep.png"), "gray")
    opened = open_file(source(tmp_path / "deep.png"), "gray", pictures=PictureFormat(bits=12))
    (frame,) = results(Convert("gray", None), opened.decoded)
    np.testing.assert_array_equal(frame.pixels, texture())


def refused(path: Path, *words: str) -> None:
    """Opening or reading the file raises an error on one line that names it and contains the words."""
    with pytest.raises(UserError) as error:
        list(open_file(source(path), "gray").decoded)
    text = str(error.value)
    assert text.isprintable(), text
    for word in (*words, path.suffix):
        assert word in text, text


def test_files_that_are_no_footage(tmp_path):
    for content, words in ((b"", "0 bytes"), (b"a diary\n" * 99, "not a video"), (LFS.encode(), "git lfs")):
        (tmp_path / "a.mp4").write_bytes(content)
        refused(tmp_path / "a.mp4", "a.mp4", words)
    (tmp_path / "a.jpg").write_text("a diary")
    refused(tmp_path / "a.jpg", "a.jpg", "not a whole picture")
    encode(tmp_path / "one.mp4", numbered(1), 25)
    refused(tmp_path / "one.mp4", "holds 1 frame", "at least 2")


def test_files_that_end_early_or_change_their_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 32, 48), dtype=np.uint8)
    encode(tmp_path / "whole.mkv", noise, 25)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "cut.mkv", "cut off", "2.4")
    pictures = [*numbered(6, (32, 48)), *numbered(6, (48, 64))]
    (tmp_path / "both.mjpeg").write_bytes(b"".join(cv2.imencode(".jpg", p)[1].tobytes() for p in pictures))
    refused(tmp_path / "both.mjpeg", "frame 6", "64x48", "48x32")
    folder = write_pictures(tmp_path / "walk", numbered(4))
    write_picture(folder / "002.png", numbered(1, (20, 30))[0])
    with pytest.raises(UserError, match=r"002\.png: 30x20 pixels"):
        open_file(source(folder), "gray")


@needs_ffmpeg
def test_damage_is_refused_when_it_is_reached(tmp_path):
    whole = make(tmp_path / "a.ts", "-c:v", "libx264", "-g", 25, source=SOURCE.replace("128x96", "320x240"))
    drop(whole, tmp_path / "lost.ts", 60)
    refused(tmp_path / "lost.ts", "frames are damaged")


def test_a_hostile_name_is_read_and_shown_on_one_line(tmp_path):
    path = tmp_path / "-a 'b\"\n\x1b[31m; % ü \udce4.mp4"
    encode(tmp_path / "plain.mp4", numbered(5), 25)
    (tmp_path / "plain.mp4").rename(path)
    assert open_file(source(path), "gray").frames == 5
    path.write_text("no video")
    refused(path, r"""b"\n\x1b[31m; % ü \udce4.mp4""")


def test_cameras_and_streams_are_no_files():
    (camera,) = find_sources(["0"])
    with pytest.raises(ValueError, match="camera 0 is a camera"):
        open_file(camera, "gray")
