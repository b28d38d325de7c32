"""Names of clips: any that a file system takes, as names of the files that stages write."""

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.footage.videos import numbered
from tests.project import ROOT, environment
from vad.footage.encode import encode
from vad.footage.source_clip import SourceClip
from vad.store import manifest


def clip_id(name: str) -> str:
    return SourceClip("test", name, Path("x.mp4")).id


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300)


@given(names)
def test_ids_are_file_names_of_limited_length(name):
    split, _, safe = clip_id(name).partition("/")
    assert split == "test"
    assert re.fullmatch(r"[\w-]+", safe)
    assert len(safe.encode()) <= 120
    assert clip_id(unicodedata.normalize("NFD", name)) == clip_id(name), "as macOS spells it"


@given(names)
def test_short_names_are_not_shortened(name):
    plain = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", name))
    if len(plain.encode()) <= 120:
        assert clip_id(name) == f"test/{plain}"
    else:
        kept, digest = clip_id(name)[5:-9], clip_id(name)[-9:]
        assert plain.startswith(kept)
        assert len(kept.encode()) > 120 - 9 - 4, "no more is cut than needed"
        assert re.fullmatch(r"_[0-9a-f]{8}", digest)


@pytest.mark.parametrize("character", ["x", "é", "字", "𝒳"])
def test_long_names_that_differ_at_their_end_stay_apart(character):
    long = character * 250
    ids = {clip_id(long + end) for end in ("", "1", "2", " ", "_", "/a")}
    assert len(ids) == 6
    assert clip_id("x" * 120) == "test/" + "x" * 120
    assert clip_id("x" * 121) != "test/" + "x" * 121


def test_ids_of_long_names_are_those_of_earlier_runs():
    """Otherwise all results of the clip would be computed anew, and references to it would break."""
    assert clip_id("x" * 150) == "test/" + "x" * 111 + "_98c41d80"


@pytest.mark.skipif(os.name != "posix", reason="paths of Windows are limited to 260 characters")
def test_the_longest_names_pass_through_ingest_and_extract(tmp_path):
    names = ["d" * 255 + "/" + "x" * 251, "d" * 255 + "/" + "x" * 250 + "y", "ö" * 125, "short"]
    for name in names:
        path = tmp_path / f"raw/test/{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, numbered(26), 25)
    for name in "ab":
        (tmp_path / "raw/train").mkdir(exist_ok=True)
        encode(tmp_path / f"raw/train/{name}.mp4", numbered(26), 25)
    rows = "".join(f"{name},2,5\n" for name in names)
    (tmp_path / "raw/labels.csv").write_text(f"clip,start,end\n{rows}", "utf-8")
    (tmp_path / "params.yaml").write_text(
        "data: {root: raw, format: folder, folder: {}, folds: 1}\nextract: {}\ncompute: {}"
    )
    for stage in ("ingest", "extract"):
        done = subprocess.run(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    rows = manifest.read_manifest(tmp_path / "data/manifest.csv")
    assert len(rows) == 6
    assert set(manifest.read_labels(tmp_path / "data/labels.csv")) == {clip_id(name) for name in names}
    for row in rows:
        assert (tmp_path / f"data/frames/{row.clip}.parquet").is_file()
    assert {row.source for row in rows if row.split == "test"} == {f"test/{name}.mp4" for name in names}
