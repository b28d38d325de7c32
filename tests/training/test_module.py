"""What the training engine takes and refuses: every model, schedules, fine-tuning, memory, bad input."""

import importlib
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.project import whole_frames
from tests.training.test_fit import CHANNELS, ROOT, Fitted, data, params, ramps  # noqa: F401
from vad import UserError, models
from vad.flow import none as no_flow
from vad.models import Autoencoder
from vad.pipeline.params import alternatives, load
from vad.regions import none
from vad.resize.cut import cut
from vad.store import arrays, tables
from vad.training import fit
from vad.training.module import Cosine
from vad.windows.dataset import Windows
from vad.windows.spec import WindowParams

RAW = whole_frames()


def windows(folder: Path, name: str, length: int, window: int, position: str, side: int) -> Windows:
    """A bright square that wanders over noise: the windows of one clip."""
    rng = np.random.default_rng(length)
    frames = rng.integers(0, 60, (length, side, side), np.uint8)
    for t in range(length):
        at = (t * 3) % (side - 8)
        frames[t, at : at + 8, 4:12] = 220
    stems = [folder / kind / name for kind in ("frames", "regions", "flow")]
    arrays.write_array(stems[0], frames, fps=10.0)
    no_flow.flow(stems[2], stems[0], no_flow.Params(), threads=1)
    none.regions(stems[1], stems[0], stems[2], none.Params(), None, threads=1)
    out = folder / "tensors" / name
    out.mkdir(parents=True, exist_ok=True)
    shape = {"height": side, "width": side, "window": window, "step": 1, "position": position}
    how = WindowParams(channels=["picture"], stride=1, fit="stretch", **shape)
    cut(out / "clip", *stems, how, threads=1)
    return Windows(out)


@pytest.mark.parametrize("name", alternatives("vad.models"))
def test_every_model_is_trained_and_stored_as_params_yaml_has_it(name, tmp_path):
    own = load(f"model.{name}", importlib.import_module(f"vad.models.{name}").Params, RAW)
    both = {
        split: windows(tmp_path, split, length, own.window, own.position, 32)
        for split, length in (("train", 20), ("val", 16))
    }
    fit.fix_seed(0)
    model = models.create(name, own, both["train"].shape, both["train"].channels)
    out = Fitted(both, tmp_path / "run", model=model, epochs=2, learning_rate=1e-3)
    assert out.history["train_loss"].iloc[-1] < out.history["train_loss"].iloc[0]
    assert np.isfinite(out.history["val_loss"].iloc[-1])
    assert out.best["val_loss"] == pytest.approx(out.history["val_loss"].min(), rel=1e-6)
    again, card = models.load(tmp_path / "run/model")
    assert (card["name"], card["channels"]) == (name, ["gray"])
    x = torch.from_numpy(both["val"][[3, 5]]).float() / 255
    with torch.inference_mode():
        assert torch.equal(again(x), model(x))
    assert (tmp_path / "run/reports/steps.csv").is_file()


def test_steps_and_throughput_are_written_as_they_come(data, tmp_path):  # noqa: F811
    seen = []

    class Slow(Windows):
        def __getitem__(self, indices):
            steps, speed = tmp_path / "reports/steps.csv", tmp_path / "throughput.csv"
            if steps.exists():
                seen.append((len(pd.read_csv(steps)), len(pd.read_csv(speed))))
            return super().__getitem__(indices)

    Fitted(data | {"train": Slow(data["train"].folder)}, tmp_path, epochs=2, batch_size=2)
    steps, speed = pd.read_csv(tmp_path / "reports/steps.csv"), pd.read_csv(tmp_path / "throughput.csv")
    np.testing.assert_allclose(steps["epoch"], np.arange(1, 11) / 5, rtol=1e-5)  # 10 windows, 5 batches
    np.testing.assert_allclose(speed["epoch"], steps["epoch"])
    assert (speed["samples_per_second"] > 0).all()
    assert len({n for n, _ in seen}) > 5  # there while it ran, not at the end
    history = pd.read_csv(tmp_path / "reports/history.csv")
    means = steps["loss"].to_numpy().reshape(2, 5).mean(1)
    np.testing.assert_allclose(means, history["train_loss"], rtol=1e-4)


def test_steps_have_the_loss_of_their_windows_whatever_is_accumulated(data, tmp_path):  # noqa: F811
    for n in (1, 3):
        Fitted(data, tmp_path / str(n), epochs=1, batch_size=4, accumulate=n, learning_rate=1e-9)
    one, three = (pd.read_csv(tmp_path / f"{n}/reports/steps.csv") for n in (1, 3))
    np.testing.assert_allclose(one["loss"], three["loss"], rtol=1e-5)
    assert len(one) == 3  # batches of 4, 4 and 2
    history = pd.read_csv(tmp_path / "1/reports/history.csv")
    assert np.average(one["loss"], weights=[4, 4, 2]) == pytest.approx(history["train_loss"][0], rel=1e-5)


def test_cosine_rises_and_falls(data, tmp_path):  # noqa: F811
    Fitted(data, tmp_path, epochs=4, batch_size=2, schedule="cosine", warm_up=1.0)
    rates = pd.read_csv(tmp_path / "reports/steps.csv")["learning_rate"].to_numpy()
    assert rates.max() == pytest.approx(0.01)
    top = rates.argmax()
    assert 3 <= top <= 5
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] == 0  # the rate after the last step
    steps = [Cosine(4, 20)(i) for i in range(21)]
    np.testing.assert_allclose(steps[:4], [0.2, 0.4, 0.6, 0.8])
    assert steps[4] == 1
    assert steps[12] == pytest.approx(0.5)
    assert steps[20] == pytest.approx(0)


def test_accumulated_batches_are_one_large_batch(data, tmp_path):  # noqa: F811
    large = Fitted(data, tmp_path / "large", batch_size=10, epochs=3)
    small = Fitted(data, tmp_path / "small", batch_size=5, accumulate=2, epochs=3)
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_clipped_gradient_changes_what_is_learnt(data, tmp_path):  # noqa: F811
    free, tight = (Fitted(data, tmp_path / str(c), clip_gradient=c, weight_decay=0.0) for c in (None, 1e-9))
    assert free.weights != tight.weights


def test_bf16_learns_the_same(data, tmp_path):  # noqa: F811
    whole = Fitted(data, tmp_path / "32", epochs=6)
    half = Fitted(data, tmp_path / "16", epochs=6, precision="bf16-mixed")
    assert half.weights != whole.weights
    assert half.best["val_loss"] == pytest.approx(whole.best["val_loss"], rel=0.2)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
def test_compiled_it_learns_the_same(data, tmp_path):  # noqa: F811
    eager = Fitted(data, tmp_path / "eager", epochs=1)
    compiled = Fitted(data, tmp_path / "compiled", epochs=1, compile=True)
    assert compiled.best["val_loss"] == pytest.approx(eager.best["val_loss"], rel=1e-3)


def test_pseudo_anomalies_change_what_is_learnt(tmp_path):
    own = CHANNELS.model_copy(update={"window": 4})
    both = {s: windows(tmp_path, s, n, 4, "middle", 16) for s, n in (("train", 16), ("val", 12))}
    found = {}
    for kind, goal in (("none", "restore"), ("skip_frame", "restore"), ("skip_frame", "repel")):
        fit.fix_seed(0)
        model = models.create("conv2d", own, both["train"].shape, ["gray"])
        out = tmp_path / f"{kind}-{goal}"
        found[kind, goal] = Fitted(both, out, model=model, pseudo={"kind": kind, "goal": goal, "share": 0.3})
    assert len({one.weights for one in found.values()}) == 3
    first = {which: one.history["train_loss"][0] for which, one in found.items()}
    # what is not to be reproduced is subtracted, what is to be restored is harder than what is normal
    assert first["skip_frame", "repel"] < first["none", "restore"] < first["skip_frame", "restore"]


# -- fine-tuning


def test_it_starts_from_earlier_weights(data, tmp_path):  # noqa: F811
    first = Fitted(data, tmp_path / "first", epochs=4)
    second = Fitted(data, tmp_path / "second", epochs=1, init_from=str(tmp_path / "first/model"))
    assert second.history["train_loss"][0] < first.history["train_loss"][1]
    other = Fitted(data, tmp_path / "third", epochs=1, seed=9, init_from=str(tmp_path / "first/model"))
    assert other.history["train_loss"][0] == pytest.approx(second.history["train_loss"][0], rel=0.2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channels": [8]}, r"model\.conv2d"),
        ({"shape": (1, 1, 32, 16)}, "shape of a window"),
        ({"planes": ["red"]}, r"channels is \['red'\], that of params.yaml \['gray'\]"),
    ],
)
def test_weights_of_another_autoencoder_are_refused(data, tmp_path, changed, message):  # noqa: F811
    own = CHANNELS.model_copy(update={"channels": changed.get("channels", [4])})
    other = models.create(
        "conv2d", own, changed.get("shape", (1, 1, 16, 16)), changed.get("planes", ["gray"])
    )
    models.save(other, tmp_path / "other")
    with pytest.raises(UserError, match=message):
        Fitted(data, tmp_path, init_from=str(tmp_path / "other"))


def test_missing_and_corrupt_weights_to_start_from_are_refused(data, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match=r"init_from = '.+nowhere': no such folder"):
        Fitted(data, tmp_path, init_from=str(tmp_path / "nowhere"))
    models.save(models.create("conv2d", CHANNELS, (1, 1, 16, 16), ["gray"]), tmp_path / "bad")
    file = tmp_path / "bad/weights.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"init_from = '.+bad' holds no usable autoencoder \(.+\)$"):
        Fitted(data, tmp_path, init_from=str(tmp_path / "bad"))


def test_an_experiment_in_a_copy_finds_the_weights_of_the_main_checkout(data, tmp_path, monkeypatch):  # noqa: F811
    models.save(models.create("conv2d", CHANNELS, (1, 1, 16, 16), ["gray"]), tmp_path / "main/kept")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    monkeypatch.chdir(tmp_path)
    Fitted(data, tmp_path / "run", epochs=1, init_from="kept")


@pytest.mark.parametrize(
    "changed",
    [{"pseudo": {"kind": "skip_frame"}}, {"motion_weight": 1.0}, {"loss": {"l1": 1.0}}, {"devices": 2}],
    ids=str,
)
def test_what_scikit_learn_cannot_do_is_refused(tmp_path, changed):
    both = {s: windows(tmp_path, s, 12, 2, "middle", 16) for s in ("train", "val")}
    own = importlib.import_module("vad.models.mlp").Params(window=2, step=1, position="middle", hidden=[8])
    model = models.create("mlp", own, both["train"].shape, ["gray"])
    with pytest.raises(UserError, match=r"train\.\w+.*: scikit-learn, which fits the model mlp"):
        Fitted(both, tmp_path / "run", model=model, **changed)


def test_a_batch_of_one_window_is_told_where_batch_norm_needs_two(tmp_path):
    both = {s: windows(tmp_path, s, 9, 1, "middle", 16) for s in ("train", "val")}
    own = load("model.memae", importlib.import_module("vad.models.memae").Params, RAW)
    model = models.create("memae", own.model_copy(update={"channels": [4] * 4}), (1, 1, 16, 16), ["gray"])
    with pytest.raises(UserError, match=r"9 windows in batches of 4 leave .+ change train\.batch_size"):
        Fitted(both, tmp_path / "run", model=model, batch_size=4)


def test_what_fits_into_no_memory_is_refused():
    own = importlib.import_module("vad.models.dense").Params(
        window=1, step=1, position="middle", objective="reconstruct", hidden=[10**9]
    )
    with pytest.raises(UserError, match=r"model\.dense does not fit into memory"):
        models.create("dense", own, (1, 1, 64, 64), ["gray"])


# -- what goes wrong


class Fragile(Autoencoder):
    """Fails in a chosen way from the second epoch on."""

    name = "conv2d"  # so that what is kept of it can be loaded

    def __init__(self, fails):
        super().__init__(CHANNELS, (1, 1, 16, 16), ["gray"])
        self.real = models.create("conv2d", CHANNELS, (1, 1, 16, 16), ["gray"])
        self.fails, self.calls = fails, 0

    def forward(self, x):
        self.calls += self.training
        return self.fails(self.real(x)) if self.calls > 4 else self.real(x)

    def state_dict(self, *args, **kwargs):
        return self.real.state_dict()

    def load_state_dict(self, state, *args, **kwargs):
        return self.real.load_state_dict(state)


def test_after_a_loss_that_is_no_number_the_best_weights_are_kept(data, tmp_path):  # noqa: F811
    model = Fragile(lambda y: y * float("nan"))
    message = (
        r"training loss became nan in epoch 2, batch 1; lower .+ best weights so far, of epoch 1, are in "
    )
    with pytest.raises(UserError, match=message) as caught:
        Fitted(data, tmp_path, model=model, epochs=3, batch_size=3)
    folder = Path(str(caught.value).rpartition(" are in ")[2])
    kept, card = models.load(folder)
    assert card["best"]["epoch"] == 0
    assert all(torch.isfinite(p).all() for p in kept.parameters())
    Fitted(data, tmp_path / "again", epochs=1, learning_rate=1e-4, init_from=str(folder))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_names_what_to_lower(data, tmp_path, error):  # noqa: F811
    def fail(y):
        raise error

    with pytest.raises(UserError, match=r"out of memory with train\.batch_size = 4 and .+: lower"):
        Fitted(data, tmp_path, model=Fragile(fail))


def test_other_runtime_errors_stay_what_they_are(data, tmp_path):  # noqa: F811
    def fail(y):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Fitted(data, tmp_path, model=Fragile(fail))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"motion_weight": 1.0}, r"train\.motion_weight needs windows"),
        ({"pseudo": {"kind": "jitter"}}, "put flow into"),
        ({"pseudo": {"kind": "skip_frame"}}, "windows of at least 2 frames"),
    ],
)
def test_what_these_windows_do_not_have_is_refused(data, tmp_path, changed, message):  # noqa: F811
    with pytest.raises(UserError, match=message):
        Fitted(data, tmp_path, **changed)


def test_the_whole_file_is_checked_for_the_same(tmp_path):
    raw = json.loads(json.dumps(RAW))
    raw["train"]["pseudo"]["kind"] = "skip_frame"
    with pytest.raises(UserError, match="windows of at least 2 frames"):
        load("train", fit.TrainParams, raw).verify(raw)
    raw["model"]["name"] = "conv3d"
    load("train", fit.TrainParams, raw).verify(raw)
    raw["resize"]["width"] = 66
    with pytest.raises(UserError, match=r"conv3d needs resize\.width divisible by 4, got 66: try 64 or 68"):
        load("train", fit.TrainParams, raw).verify(raw)


# -- memory


MEASURE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training.test_fit import Fitted
from vad import models
from vad.models.dense import Params
from vad.windows import Windows

peak = 0

class Watched(Windows):
    def __getitem__(self, indices):
        global peak
        status = Path("/proc/self/status").read_text()
        peak = max(peak, int(status.partition("RssAnon:")[2].split()[0]))
        return super().__getitem__(indices)

folder = Path({folder!r})
split = Watched(folder / "tensors", {names!r})
small = Params(window=1, step=1, position="middle", objective="reconstruct", hidden=[4])
Fitted({{"train": split, "val": Watched(folder / "tensors", {names!r}[:1])}}, folder / "run{n}",
       model=models.create("dense", small, split.shape, ["gray"]), epochs=10 // {n}, batch_size=32)
print(peak, len(split))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_data(tmp_path):
    """41 MB of windows instead of 4: the process's own memory grows by far less, after as many steps.

    What is left is the allocator's, which differs by 10 MB from one run to the next.
    """
    (tmp_path / "tensors").mkdir()
    for k in range(10):
        same_windows(tmp_path / f"tensors/{k}", 250)
    peaks = {}
    for n in (1, 10):
        names = [str(k) for k in range(n)]
        script = textwrap.dedent(MEASURE).format(root=str(ROOT), folder=str(tmp_path), names=names, n=n)
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[n], count = map(int, done.stdout.split())
        assert count == 250 * n
    assert (peaks[10] - peaks[1]) / 1024 < 20, peaks


def same_windows(stem: Path, n: int, side: int = 128) -> None:
    card = {
        "frames": n,
        "stride": 1,
        "window": 1,
        "step": 1,
        "position": "middle",
        "fit": "stretch",
        "windows": n,
    }
    card |= {"channels": ["gray"], "frame": [side, side]}
    noise = np.random.default_rng(n).integers(0, 256, (1, side, side), np.uint8)
    with arrays.ArrayWriter(stem, (1, side, side), np.uint8, **card) as writer:
        for _ in range(n):
            writer.append(noise)
    at = np.arange(n, dtype=np.int32)
    tables.write_table(stem, pd.DataFrame({"frame": at, "region": at, "track": 0, "plane_0": at}))
