"""Windows shared by the tests of training."""

import pytest

from tests.training.trained import ramps, tensors
from vad.windows.dataset import Windows


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> dict[str, Windows]:
    """10 training windows, 6 similar windows, and 6 brighter windows, whose loss rises during training."""
    folder = tmp_path_factory.mktemp("data")
    return {
        "train": tensors(folder / "train", ramps(10, 20)),
        "val": tensors(folder / "val", ramps(6, 20)[::-1]),
        "bright": tensors(folder / "bright", ramps(6, 190)),
    }
