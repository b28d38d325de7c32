"""Finding sources: folders, files, cameras, addresses; their names; what is refused."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.inputs.source import Source, find_sources

posix = pytest.mark.skipif(os.name != "posix", reason="links and names of POSIX")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def summary(sources: list[Source], root: Path) -> list[tuple[str, str, str]]:
    return [(s.kind, Path(str(s.address)).relative_to(root).as_posix(), s.name) for s in sources]


def test_a_folder_stands_for_its_videos_and_clips_of_pictures(tmp_path):
    pictures = [f"walk/{i}.jpg" for i in range(3)]
    touch(tmp_path, "b.MP4", "day 1/a.avi", *pictures, "one/x.png", "notes.txt", ".hidden/c.mp4", "Thumbs.db")
    touch(tmp_path, "walk/@eaDir/0.jpg", "walk/@eaDir/1.jpg", "walk/.DS_Store", "day 1/a.srt", "._b.mp4")
    assert summary(find_sources([str(tmp_path)]), tmp_path) == [
        ("video", "b.MP4", "b"),
        ("video", "day 1/a.avi", "day_1_a"),
        ("picture", "one/x.png", "one_x"),
        ("sequence", "walk", "walk"),
    ]
    separate = find_sources([str(tmp_path / "walk")], separate_pictures=True)
    assert summary(separate, tmp_path) == [("picture", p, str(i)) for i, p in enumerate(pictures)]
    (clip,) = find_sources([str(tmp_path / "walk")])
    assert (clip.kind, clip.name, clip.text) == ("sequence", "walk", str(tmp_path / "walk"))


def test_each_source_comes_once_and_in_the_order_of_the_texts(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4", "b.mp4")
    monkeypatch.chdir(tmp_path)
    texts = ["b.mp4", ".", "./a.mp4", "1", "01", "rtsp://cam/x", "rtsp://cam/x"]
    assert [s.name for s in find_sources(texts)] == ["b", "a", "camera1", "cam_x"]
    touch(tmp_path, "0.mp4")
    (tmp_path / "0.mp4").rename("0")
    with pytest.raises(UserError, match="neither a picture nor a video"):
        find_sources(["./0"])


def test_equal_names_are_told_apart_by_their_folder_and_then_by_numbers(tmp_path):
    touch(tmp_path, "mon/a.mp4", "tue/A.mp4", "tue/b.mp4", "x/mon/a.mp4", "x/mon/a.avi")
    texts = [str(tmp_path / text) for text in ("mon", "tue", "x/mon/a.mp4", "x/mon/a.avi")]
    assert [s.name for s in find_sources(texts)] == ["mon_a", "tue_A", "b", "mon_a_2", "mon_a_3"]


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=200)


@posix
@given(st.lists(st.tuples(names, st.sampled_from([".mp4", ".png"])), min_size=1, max_size=6))
def test_names_are_safe_and_unique_whatever_the_file_is_called(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("hostile")
    for name, suffix in files:
        encoded = os.fsencode(name.encode("utf-8", "replace")[:240]).decode("utf-8", "ignore")
        (root / f"x{encoded}{suffix}").touch()
    sources = find_sources([str(path) for path in sorted(root.iterdir())])
    assert len({s.name.casefold() for s in sources}) == len(sources) == len([*root.iterdir()])
    for source in sources:
        assert re.fullmatch(r"\w[\w-]*", source.name)
        assert len(source.name.encode()) <= 125
        assert source.text.isprintable()


@posix
def test_names_of_other_encodings(tmp_path):
    (tmp_path / os.fsdecode(b"-\xe4\n" + b"\xff" * 200 + b".mp4")).touch()
    (source,) = find_sources([str(tmp_path)])
    assert source.text.startswith(f"{tmp_path}/-\\udce4\\n")
    source.text.encode()
    assert re.fullmatch(r"[\w-]+", source.name)


@pytest.mark.parametrize(
    ("text", "kind", "shown", "name"),
    [
        ("0", "camera", "camera 0", "camera0"),
        ("/dev/null", "camera", "/dev/null", "null"),  # as /dev/video0, a character device
        (
            "rtsp://u:S3cr3T@10.0.0.7:554/ch/1?a=1",
            "stream",
            "rtsp://10.0.0.7:554/ch/1?a=1",
            "10_0_0_7_554_ch_1",
        ),
        ("HTTP://cam/v.cgi?pwd=S3cr3T", "stream", "HTTP://cam/v.cgi?pwd=***", "cam_v_cgi"),
        ("rtsps://u:S3 cr3T@cam/", "stream", "rtsps://cam/", "cam"),
        ("udp://239.0.0.1:1234", "stream", "udp://239.0.0.1:1234", "239_0_0_1_1234"),
    ],
)
def test_cameras_and_streams(text, kind, shown, name):
    (source,) = find_sources([text])
    assert (source.kind, source.text, source.name, source.is_live) == (kind, shown, name, True)
    assert source.address == (0 if text == "0" else text)
    assert "S3" not in f"{source!r} {source} {[source]} {source.name}"


def refused(texts: list[str], *words: str) -> None:
    with pytest.raises(UserError) as error:
        find_sources(texts)
    text = str(error.value)
    assert text.isprintable(), text
    assert "S3cr3T" not in text
    for word in words:
        assert word in text, text


def test_what_is_no_source(tmp_path):
    refused([], "no source", "the address of a stream")
    refused([str(tmp_path / "a\n.mp4")], r"a\n.mp4: does not exist", "expected a picture")
    refused(["a\0b"], r"a\x00b: does not exist")
    refused([str(tmp_path)], str(tmp_path), "an empty folder")
    touch(tmp_path, "sub/notes.txt", "sub/b.doc")
    refused([str(tmp_path)], "2 files", "sub/b.doc", "neither a picture nor a video")
    refused([str(tmp_path / "sub/notes.txt")], "notes.txt", "suffix '.txt'")
    refused(["sftp://u:S3cr3T@host/a.mp4"], "sftp://host/a.mp4", "rtsp://, rtsps://, http://")
    refused(["rtsp://"], "without a host")
    refused(["rtsp:/admin:S3cr3T@10.0.0.7/live"], "10.0.0.7/live: does not exist", "expected a picture")
    touch(tmp_path, "both/a.mp4", "both/0.jpg", "both/1.jpg")
    refused([str(tmp_path)], "both: holds pictures (0.jpg) and videos (a.mp4)")


@posix
def test_links_to_folders_and_pipes(tmp_path):
    touch(tmp_path, "there/a.mp4", "here/b.mp4")
    (tmp_path / "here/link").symlink_to(tmp_path / "there", target_is_directory=True)
    refused([str(tmp_path / "here")], "here/link: a link to a folder", f"name {tmp_path / 'there'} too")
    assert [s.name for s in find_sources([str(tmp_path / "here/link")])] == ["a"]
    os.mkfifo(tmp_path / "pipe.mp4")
    refused([str(tmp_path / "pipe.mp4")], "neither a file nor a folder")
