"""The frames of stored clips are those of a live session on the same file."""

from pathlib import Path

import numpy as np
import pytest

from tests.live.test_session import TOLERANCE, clips_of, trained, watch
from tests.project import Project
from vad.live import TrainedModel
from vad.report.stored_clip import Stems, StoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.scores import read_scores
from vad.store.arrays import open_array

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["tracks", "silhouettes"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Boxes with every second window, or whole frames with silhouettes and every third window."""
    return trained(tmp_path_factory.mktemp(request.param), request.param)


def test_stored_frames_are_those_of_a_session(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    model, data = TrainedModel.load(), Path("data")
    calibration = Calibration.load(Path("models/calibration.json"))
    for clip in clips_of(project):
        stems = Stems(data / "frames" / clip.clip, data / "regions" / clip.clip, data / "errors" / clip.clip)
        stored = StoredClip(stems, clip.clip, clip.camera, calibration, model.zones.of(clip.camera))
        scores, pixels = read_scores(data / "scores" / clip.clip), open_array(stems.frames)[0]
        live, events = watch(project, clip, model)
        frames = list(stored.each(scores))
        assert len(frames) == len(live) == len(stored)
        for t, (frame, result) in enumerate(zip(frames, live, strict=True)):
            ours = frame.result
            for name in ("index", "number", "source", "alarmed", "warming_up"):
                assert getattr(ours, name) == getattr(result, name), name
            for name in ("seconds", "score", "branch_scores", "branch_errors", "shares"):
                expected = pytest.approx(getattr(result, name), rel=TOLERANCE, abs=TOLERANCE)
                assert getattr(ours, name) == expected, name
            for name in ("boxes", "tracks", "sources"):
                mine, theirs = (getattr(r.regions, name) for r in (ours, result))
                np.testing.assert_array_equal(mine, theirs)
            for name in ("region_scores", "cells", "contributions"):
                mine, theirs = (getattr(r, name) for r in (ours, result))
                np.testing.assert_allclose(mine, theirs, rtol=TOLERANCE, atol=TOLERANCE)
            assert (ours.regions.foreground is None) == (result.regions.foreground is None)
            if result.regions.foreground is not None and ours.source == t:
                np.testing.assert_array_equal(ours.regions.foreground, result.regions.foreground)
            assert frame.picture is not None
            gray = pixels[t] if pixels.ndim == 3 else pixels[t].mean(2)
            np.testing.assert_array_equal(frame.picture.mean(2), gray)
            numbers = [n for n, event in enumerate(events, 1) if event.start <= t < event.end]
            assert frame.event == (numbers[0] if numbers else None)
        # a part of the clip gives the same frames
        for frame in stored.each(scores, 7, 9):
            np.testing.assert_array_equal(frame.result.cells, frames[frame.result.index].result.cells)
            contributions = frames[frame.result.index].result.contributions
            np.testing.assert_array_equal(frame.result.contributions, contributions)
