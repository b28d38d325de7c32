"""The file of identities: accepted and refused contents, and the persons of clips and regions."""

from pathlib import Path

import numpy as np
import pytest

from vad import UserError
from vad.evaluation.identity import Identity, read_identity
from vad.store.manifest import Clip


def clip(name: str, subject: str = "") -> Clip:
    more = {"first": 0, "end": 9, "labelled": True, "frames": 9, "fps": 10.0, "width": 8, "height": 8}
    return Clip(name, name.partition("/")[0], "01", subject, source=f"{name}.mp4", hash="h", **more)


WARD, WALK = clip("test/ward", "anna"), clip("test/Straße_ä")
CLIPS = [WARD, WALK, clip("train/ward"), clip("val/hall")]
TRACKS = {"test/ward": {-1, 0, 3, 12}, "test/Straße_ä": set()}


def read(folder: Path, text: str | bytes) -> Identity:
    path = folder / "who.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_identity(path, CLIPS, TRACKS)


def test_the_committed_identity_file_is_empty():
    path = Path(__file__).resolve().parents[2] / "data/identity.csv"
    assert path.read_text("utf-8") == "clip,track,person\n"
    assert read_identity(path, CLIPS, TRACKS) == Identity({}, {})


def test_the_person_of_a_track_overrides_that_of_the_clip_and_of_the_manifest(tmp_path):
    regions = np.array([3, 0, -1, 12, 3])
    nobody = read(tmp_path, "clip,track,person\n")
    assert nobody.person(WARD) == "anna"
    assert nobody.persons(WARD, regions) == ["anna"] * 5
    assert nobody.persons(WALK, regions) == [""] * 5

    tracks = read(tmp_path, "clip,track,person\ntest/ward,3,ben\ntest/ward,0,Ö b\n")
    assert tracks.person(WARD) == "anna"
    assert tracks.persons(WARD, regions) == ["ben", "Ö b", "anna", "anna", "ben"]
    assert tracks.persons(WALK, regions) == [""] * 5

    both = read(tmp_path, "clip,track,person\ntest/ward,3,ben\ntest/ward,,carl\n")
    assert both.person(WARD) == "carl"
    assert both.persons(WARD, regions) == ["ben", "carl", "carl", "carl", "ben"]
    assert both.persons(WARD, np.array([], int)) == []


@pytest.mark.parametrize(
    "text",
    [
        "clip,track,person\ntest/Straße_ä,,007\n",
        "clip,track,person\nStraße_ä,,007\n",  # as the tables of a run name it
        "person,note,clip,track\n007,tall,test/Straße_ä,\n",
        "\ufeff clip , track,person\r\n\r\n test/Straße_ä ,, 007 \r\n",  # spreadsheets
        "clip,track,person\nStraße_a\u0308,,007\n",  # accents as macOS spells them
        "clip,track,person\nStraße_ä,,007\nval/hall,5,x\ntrain/ward,,y\n",  # not tested, so not checked
    ],
)
def test_clips_may_be_named_in_several_ways(tmp_path, text):
    identity = read(tmp_path, text)
    assert identity.person(WALK) == "007"
    assert identity.person(WARD) == "anna"  # train/ward is another clip


def test_spaces_and_line_breaks_in_a_name_become_a_single_space(tmp_path):
    assert read(tmp_path, 'clip,track,person\nward,,"Anna \n  B"\n').person(WARD) == "Anna B"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,person\nward,anna\n", r"who\.csv: missing column track; found clip, person; expected"),
        ("", r"who\.csv: missing column clip, track, person; found nothing"),
        ("clip|track|person\nward||anna\n", r"missing column .* separated by commas"),
        ("clip,track,person\n\nwart,3,ben\n", r"who\.csv line 3: no clip is called 'wart'; .*example, ward"),
        ("clip,track,person\nhall,,ben\n", r"line 2: no clip is called 'hall'; .*val/hall"),
        ("clip,track,person\nward,4,ben\n", r"line 2: clip 'test/ward' has no track 4 .*are 0, 3, 12$"),
        ("clip,track,person\nStraße_ä,4,ben\n", r"line 2: clip 'test/Straße_ä' has no track 4 .*has none"),
        ("clip,track,person\nward,three,ben\n", r"line 2: track = 'three' of clip 'test/ward'; expected its"),
        ("clip,track,person\nward,-1,ben\n", r"line 2: track = '-1' of clip 'test/ward'"),
        ("clip,track,person\nward,1.0,ben\n", r"line 2: track = '1\.0' of clip 'test/ward'"),
        ("clip,track,person\nward,3, \n", r"line 2: track 3 of clip 'test/ward' has no person"),
        ("clip,track,person\nward,,\n", r"line 2: clip 'test/ward' has no person"),
        (
            "clip,track,person\nward,3,a\nward,0,a\ntest/ward,3,a\n",
            r"line 4: track 3 of clip 'test/ward' is named twice, first in .*who\.csv line 2",
        ),
        ("clip,track,person\nward,,a\nward,,b\n", r"line 3: clip 'test/ward' is named twice, first in .*2"),
        ("clip,track,person\nward,3,b,c\n", r"line 2: 4 fields, but the header has 3"),
        (b"clip,track,person\nward,,\xff\n", r"who\.csv: not a CSV file in UTF-8"),
    ],
)
def test_errors_are_reported_with_file_and_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"who\.csv not found"):
        read_identity(tmp_path / "who.csv", CLIPS, TRACKS)


def test_a_message_lists_the_first_tracks_and_the_last(tmp_path):
    (tmp_path / "who.csv").write_text("clip,track,person\nward,5000,ben\n")
    with pytest.raises(UserError, match=r"its tracks are 0, 1, 2, 3, 4, 5, 6, 7, 8, …, 4999$"):
        read_identity(tmp_path / "who.csv", CLIPS, {"test/ward": range(5000)})
