"""Fine-tuning: which weights a training starts from, and which are refused."""

import pytest

from tests.training.trained import SHAPE, SMALL, Trained, model
from vad import UserError
from vad.models import create, save


def test_a_training_starts_from_earlier_weights(data, tmp_path):
    first = Trained(data, tmp_path / "first", epochs=4)
    second = Trained(data, tmp_path / "second", epochs=1, init_from=str(tmp_path / "first/model"))
    assert second.history["train_loss"][0] < first.history["train_loss"][1]
    other = Trained(data, tmp_path / "third", epochs=1, seed=9, init_from=str(tmp_path / "first/model"))
    assert other.history["train_loss"][0] == pytest.approx(second.history["train_loss"][0], rel=0.2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channels": [8]}, r"its model\.conv2d is .*channels=\[8\], that of params.yaml .*channels=\[4\]"),
        ({"shape": (1, 1, 32, 16)}, "shape of a window"),
        ({"planes": ["red"]}, r"channels is \['red'\], that of params.yaml \['gray'\]"),
    ],
)
def test_weights_of_another_autoencoder_are_refused(data, tmp_path, changed, message):
    other_params = SMALL.model_copy(update={"channels": changed.get("channels", [4])})
    shape, planes = changed.get("shape", SHAPE), changed.get("planes", ["gray"])
    save(create("conv2d", other_params, shape, planes), tmp_path / "other")
    with pytest.raises(UserError, match=message):
        Trained(data, tmp_path, init_from=str(tmp_path / "other"))


def test_missing_and_corrupt_weights_are_refused(data, tmp_path):
    with pytest.raises(UserError, match=r"init_from = '.+nowhere': no such folder"):
        Trained(data, tmp_path, init_from=str(tmp_path / "nowhere"))
    save(model(), tmp_path / "bad")
    file = tmp_path / "bad/weights.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    message = r"^train\.init_from = '.+bad' holds no usable autoencoder \([^/]+\)$"
    with pytest.raises(UserError, match=message):
        Trained(data, tmp_path, init_from=str(tmp_path / "bad"))


def test_an_experiment_in_a_copy_takes_the_weights_of_the_main_checkout(data, tmp_path, monkeypatch):
    save(model(), tmp_path / "main/kept")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    monkeypatch.chdir(tmp_path)
    Trained(data, tmp_path / "run", epochs=1, init_from="kept")
