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
    if not hasattr(config, "workerinput"):  # not in the processes of pytest-xdist
        shared.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shared.end()
