"""What a change of body heights computes anew, stage by stage, on a tiny project."""

import pytest

from tests.project import Project, computed
from tests.trained import run_stages, trained
from vad.store.body_heights import BodyHeight, BodyHeights, write_body_heights

CLIPS = {"resize train": 3, "resize val": 1, "resize test": 2}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """Whole frames with flow, of one camera; data.folds is 1."""
    return trained(tmp_path_factory.mktemp("heights"), "silhouettes")


def rerun(project: Project, stage: str, height: float, others: float = 20.0) -> dict[str, int]:
    """Runs a stage with body heights of the camera `hall` and of all others; the clips that it computes."""
    heights = {"hall": BodyHeight(1.0, height, 1.0, 48), "": BodyHeight.constant(others, 48)}
    write_body_heights(project / "data/body_height.json", BodyHeights(heights))
    return computed(run_stages(project.folder, [stage]))


def test_windows_of_a_camera_are_cut_anew_for_their_flow(project):
    assert rerun(project, "resize", 30.0) == CLIPS
    before = {file: file.read_bytes() for file in (project / "data/tensors/test").glob("*.npy")}
    assert rerun(project, "resize", 30.0, others=10.0) == {}  # those of other cameras
    assert rerun(project, "resize", 25.0) == CLIPS
    assert all(file.read_bytes() != content for file, content in before.items())
    assert rerun(project, "resize", 30.0) == {}  # from the cache
    assert before == {file: file.read_bytes() for file in before}


def test_windows_without_flow_are_not_cut_anew(project):
    channels = {"resize.channels": ["picture"]}
    project.set(channels)
    try:
        assert rerun(project, "resize", 30.0) == CLIPS
        assert rerun(project, "resize", 25.0) == {}
        project.set({"resize.flow_range": 2.0})
        assert rerun(project, "resize", 25.0) == {}
    finally:
        project.set({"resize.channels": ["picture", "flow"], "resize.flow_range": 4.0})


@pytest.mark.parametrize("stage", ["measure", "validate"])
def test_errors_of_a_camera_are_measured_anew(project, stage):
    rerun(project, "resize", 30.0)
    project.set({"validate.seconds": 200.0})
    rerun(project, stage, 30.0)
    assert rerun(project, stage, 30.0, others=10.0) == {}
    assert rerun(project, stage, 25.0)[stage] > 0
    assert rerun(project, stage, 30.0) == {}
