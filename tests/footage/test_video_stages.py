"""The stages ingest and extract on videos with damage and with gaps in time stamps."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.footage.test_video_kinds import SOURCE, drop, make
from tests.footage.videos import needs_ffmpeg

pytestmark = needs_ffmpeg
ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """Runs stages as commands in a project without DVC."""

    def run(*stages: str, on_error: str = "fail", **extract) -> tuple[int, str]:
        data = {"root": "footage", "val_fraction": 0.5, "folds": 1, "folder": {}, "on_error": on_error}
        content = {"data": data, "extract": extract, "compute": {"workers": 1}}
        YAML().dump(content, tmp_path / "params.yaml")
        for stage in stages:
            done = subprocess.run(
                [sys.executable, "-m", f"stages.{stage}"],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=120,
            )
            if done.returncode:
                break
        return done.returncode, done.stdout + done.stderr

    folder = tmp_path / "footage"
    for clip in ("train/a", "train/b", "test/c"):
        (folder / clip).parent.mkdir(parents=True, exist_ok=True)
        make(folder / f"{clip}.mp4", "-c:v", "libx264", source=SOURCE.replace("d=4", "d=2"))
    return run


def test_damage_stops_ingest_or_leaves_the_clip_out(tmp_path, run):
    whole = make(tmp_path / "a.ts", "-c:v", "libx264", "-g", 25, source=SOURCE.replace("128x96", "320x240"))
    drop(whole, tmp_path / "footage/train/lost.ts", 60)
    status, output = run("ingest")
    assert status == 2
    (line,) = [line for line in output.splitlines() if "error" in line]
    assert "footage/train/lost.ts: " in line
    assert "frames are damaged, from frame" in line
    assert "data.on_error: skip" in line
    status, output = run("ingest", "extract", on_error="skip")
    assert status == 0, output
    skipped = pd.read_csv(tmp_path / "data/skipped.csv")
    assert skipped["clip"].tolist() == ["train/lost"]
    assert "frames are damaged" in skipped["reason"][0]
    assert not (tmp_path / "data/frames/train/lost.npy").exists()
    gaps = pd.read_csv(tmp_path / "data/frames/gaps.csv")
    assert gaps.columns.tolist() == ["clip", "frame", "seconds", "gap"]
    assert gaps.empty


def test_gaps_in_time_stamps_are_listed(tmp_path, run):
    parts = [make(tmp_path / f"{i}.ts", "-c:v", "libx264", "-g", 25) for i in range(2)]
    (tmp_path / "footage/test/two.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    status, output = run("ingest", "extract", fps=5.0)
    assert status == 0
    assert "gaps in time stamps: 1, listed in data/frames/gaps.csv" in output
    gaps = pd.read_csv(tmp_path / "data/frames/gaps.csv")
    assert gaps[["clip", "frame", "seconds"]].values.tolist() == [["test/two", 100, 4.0]]
    assert gaps["gap"][0] == pytest.approx(-3.96, abs=0.01)
    manifest = pd.read_csv(tmp_path / "data/manifest.csv").set_index("clip")
    assert manifest.loc["test/two", ["frames", "fps"]].tolist() == [200, 25]
    assert len(pd.read_parquet(tmp_path / "data/frames/test/two.parquet")) == 40
