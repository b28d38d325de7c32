"""Reports that several test modules use."""

from pathlib import Path

import pytest

from tests.evaluation.reports import IDENTITY, SEVERAL, Report, write_inputs


@pytest.fixture(scope="session")
def frame_inputs(tmp_path_factory) -> Path:
    """Errors of whole frames."""
    return write_inputs(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="session")
def box_inputs(tmp_path_factory) -> Path:
    """Errors of boxes, in two branches, and maps of speed."""
    return write_inputs(tmp_path_factory.mktemp("boxes"), boxes=True)


@pytest.fixture(scope="session")
def frames_report(frame_inputs, tmp_path_factory) -> Report:
    return Report(frame_inputs, tmp_path_factory.mktemp("report") / "frames")


@pytest.fixture(scope="session")
def boxes_report(box_inputs, tmp_path_factory) -> Report:
    return Report(box_inputs, tmp_path_factory.mktemp("report") / "boxes", SEVERAL, identity=IDENTITY)
