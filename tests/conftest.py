"""Settings for all tests."""

import os

import pytest
from hypothesis import settings

from tests import shared

# tests run side by side, one per core: threads of torch would only be in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a busy machine is slow now and then, which says nothing about the code
settings.register_profile("vad", deadline=None)
settings.load_profile("vad")


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # else files with the fewest tests come last


@pytest.fixture(scope="session", autouse=True)
def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    # a process of pytest-xdist has a folder of its own in that of the run
    shared.folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run stages come first: they take longest, and at the end one process would wait for them."""
    items.sort(key=lambda item: not {"Project", "tiny"} & vars(item.module).keys())
