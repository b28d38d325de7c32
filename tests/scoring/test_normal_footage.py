"""What the manifest alone says about the threshold: how much footage there is, and whether it is enough."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.ingest import tell_amount
from vad import UserError, check
from vad.pipeline import params
from vad.scoring.normal_footage import NormalFootage
from vad.scoring.params import ThresholdParams
from vad.scoring.thresholds import require_frames
from vad.store.manifest import Clip, write_manifest

RAW = params.read(Path(__file__).parents[2] / "params.yaml")


def clip(split: str, name: str, frames: int, fps: float = 10.0, camera: str = "hall") -> Clip:
    """A clip whose source has 5 frames more on each side."""
    source = {"subject": "", "source": f"{name}.mp4", "labelled": False, "hash": "h"}
    size = {"frames": frames + 10, "fps": fps, "width": 8, "height": 8}
    return Clip(f"{split}/{name}", split, camera, first=5, end=5 + frames, **source, **size)


def asked(policy: str = "false_alarms", **changed: float) -> ThresholdParams:
    return ThresholdParams(policy=policy, **changed)


def test_the_amount_is_that_of_validation_clips_by_camera():
    clips = [
        clip("train", "a", 9000),
        clip("test", "b", 9000),
        clip("val", "c", 1200),
        clip("val", "d", 1200),
    ]
    footage = NormalFootage([*clips, clip("val", "e", 3600, fps=20.0, camera="yard")])
    assert (footage.clips, footage.frames, footage.hours) == (3, 6000, pytest.approx(420 / 3600))
    assert footage.sentences(asked("percentile")) == [
        "normal footage for the threshold: 7 minutes in 3 clips (hall: 4 minutes in 2 clips; yard: 3 minutes "
        "in one clip)"
    ]
    assert NormalFootage(clips).sentences(asked("fixed")) == [
        "normal footage for the threshold: 4 minutes in 2 clips"
    ]


def test_without_validation_clips_training_clips_count():
    footage = NormalFootage([clip("train", "a", 100), clip("train", "b", 100), clip("test", "c", 100)])
    assert (footage.clips, footage.frames) == (2, 200)


@pytest.mark.parametrize("number", [10, 11, 12, 40])
def test_of_many_cameras_the_rest_is_counted(number):
    clips = [clip("val", f"c{i}", 100, camera=f"{i:02}") for i in range(number)]
    (line,) = NormalFootage(clips).sentences(asked("percentile"))
    assert line.count("in one clip") == (number if number <= 11 else 10)
    assert ("; 30 more cameras)" in line) == (number == 40)


@given(st.integers(1, 5000), st.sampled_from([50.0, 95.0, 99.0, 99.5, 99.95]))
def test_a_percentile_is_too_high_exactly_where_calibration_would_refuse_it(frames, percentile):
    threshold = asked("percentile", percentile=percentile)
    shortage = NormalFootage([clip("val", "a", frames)]).shortage(threshold)
    # a frame must lie above the percentile
    if frames * (100 - percentile) / 100 > 1 - 1e-9:
        require_frames(threshold, frames)
        assert shortage is None
        return
    with pytest.raises(UserError, match=f"needs {threshold.required_frames};"):
        require_frames(threshold, frames)
    assert shortage == (
        f"calibrate.threshold.percentile = {percentile:g} needs {threshold.required_frames} normal frames, "
        f"and there are {frames}: lower it, or add normal clips"
    )


def test_frames_are_counted_at_the_rate_of_extraction():
    clips = [clip("val", "a", 1000, fps=25.0)]
    assert NormalFootage(clips, fps=5.0).frames == 200
    assert NormalFootage(clips, fps=5.0).shortage(asked("percentile", percentile=99.6)) is not None
    assert NormalFootage(clips).shortage(asked("percentile", percentile=99.6)) is None


@pytest.mark.parametrize(
    ("minutes", "per_day", "warned"),
    # none in H hours vouches for 72 / H per day, and ten times what was asked is accepted
    [
        (60, 1.0, True),
        (430, 1.0, True),
        (433, 1.0, False),
        (60, 7.2, False),
        (60, 7.1, True),
        (9000, 0.0, True),
    ],
)
def test_false_alarms_that_this_footage_cannot_vouch_for_are_warned_of(minutes, per_day, warned):
    footage = NormalFootage([clip("val", "a", 300 * minutes), clip("val", "b", 300 * minutes)])
    assert (footage.shortage(asked(per_day=per_day)) is not None) == warned
    _, vouched = footage.sentences(asked(per_day=per_day))
    assert vouched.startswith("without a false alarm in it, this footage vouches for at most ")
    assert float(vouched.split()[12]) == pytest.approx(72 * 60 / minutes, rel=0.01)


def test_the_warning_says_how_much_to_film():
    shortage = NormalFootage([clip("val", "a", 120)]).shortage(asked(per_day=1.0))
    assert shortage == (
        "the threshold rests on 12 seconds of one clip: expect frequent alarms on other footage; film at "
        "least 7.2 hours of what is normal, at different times"
    )
    assert NormalFootage([clip("val", "a", 120)]).shortage(asked("sigma")) is None


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with params.yaml that asks for more than 600 frames can give."""
    monkeypatch.chdir(tmp_path)
    raw = {
        **RAW,
        "calibrate": {**RAW["calibrate"], "threshold": {"policy": "percentile", "percentile": 99.9}},
    }
    monkeypatch.setattr(params, "read", lambda path=params.FILE: raw)
    return tmp_path


def test_ingest_logs_the_amount_and_the_warning(project):
    lines: list[str] = []
    tell_amount(SimpleNamespace(log=lines.append), [clip("val", "a", 600)])
    assert lines == [
        "normal footage for the threshold: 60 seconds in one clip",
        "WARNING: calibrate.threshold.percentile = 99.9 needs 1000 normal frames, and there are 600: lower "
        "it, or add normal clips",
    ]


def test_the_check_warns_if_there_is_a_manifest(project):
    assert check.shortage(params.read()) is None
    write_manifest(project / "data/manifest.csv", [clip("val", "a", 600)])
    source = project / RAW["data"]["root"] / "a.mp4"
    source.parent.mkdir()
    source.touch()
    assert "needs 1000 normal frames, and there are 600" in check.shortage(params.read())
    by_share = RAW["calibrate"] | {"threshold": {"policy": "percentile", "percentile": 99.0}}
    assert check.shortage(RAW | {"calibrate": by_share}) is None
    assert "film at least 7.2 hours" in check.shortage(RAW)  # one false alarm per day
    source.unlink()  # the manifest is of other footage
    assert check.shortage(RAW) is None


def test_the_check_passes_over_a_manifest_of_an_earlier_version(project):
    (project / "data").mkdir()
    (project / "data/manifest.csv").write_text("clip,split\nval/a,val\n")
    assert check.shortage(params.read()) is None
