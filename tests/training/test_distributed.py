"""Two processes on this machine, over gloo, against a single process with the doubled batch."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.training.trained import ROOT, Trained, ramps, tensors
from vad.training.batches import Order

WORKER = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training.trained import SMALL, params
from vad.models import create, save
from vad.training.fit import fit, fix_seed
from vad.windows.dataset import Windows

if __name__ == "__main__":
    folder = Path({folder!r})
    train, val = Windows(folder / "train/tensors"), Windows(folder / "val/tensors")
    settings = params(epochs=3, batch_size=3, strategy="ddp", devices=2)
    fix_seed(settings.seed)
    model = create("conv2d", SMALL, train.shape, ["gray"])
    out = Path({out!r})
    where = out / "reports", out / "throughput.csv", out / "cache"
    best = fit(model, train, val, settings, *where, lambda line: None)
    rank = int(os.environ.get("LOCAL_RANK", 0))
    assert (best is None) == (rank > 0)
    save(model, out / f"model{{rank}}", best=best)
"""


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """17 windows: no multiple of the batch size, and fewer windows than processes in the last step."""
    folder = tmp_path_factory.mktemp("footage")
    return folder, {
        "train": tensors(folder / "train", ramps(19, 20)),
        "val": tensors(folder / "val", ramps(7, 20)[::-1]),
    }


@pytest.mark.parametrize("start", ["lightning", "torchrun"])
def test_two_processes_learn_what_a_single_process_learns_from_doubled_batches(footage, tmp_path, start):
    folder, data = footage
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(WORKER).format(root=str(ROOT), folder=str(folder), out=str(tmp_path / "two"))
    )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *(launcher if start == "torchrun" else []), script]
    env = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        command, cwd=ROOT, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    single = Trained(data, tmp_path / "single", epochs=3, batch_size=6)
    two = tmp_path / "two"
    weights = [
        load_file(p)
        for p in (
            tmp_path / "single/model/weights.safetensors",
            two / "model0/weights.safetensors",
            two / "model1/weights.safetensors",
        )
    ]
    for name, value in weights[0].items():
        np.testing.assert_allclose(weights[1][name], value, rtol=1e-3, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(weights[2][name], weights[1][name])
    history = pd.read_csv(two / "reports/history.csv")
    pd.testing.assert_frame_equal(history, single.history, rtol=1e-4)
    assert len(history) == 3


@pytest.mark.parametrize(("n", "batch", "processes"), [(10, 2, 2), (7, 2, 3), (1, 4, 2), (12, 4, 1)])
def test_windows_are_divided_among_processes(n, batch, processes):
    orders = [Order(n, batch, seed=3, rank=rank, processes=processes) for rank in range(processes)]
    together = Order(n, batch * processes, seed=3)
    for order in [*orders, together]:
        order.set_epoch(5)
    steps = list(zip(*orders, strict=True))
    assert len(steps) == len(together)
    for parts, (whole, weight, _) in zip(steps, together, strict=True):
        assert weight == 1
        counted = [indices for indices, share, _ in parts if share]
        assert np.concatenate(counted).tolist() == whole.tolist()
        for indices, share, _ in parts:
            assert share == (len(indices) * processes / len(whole) if share else 0)
        assert sum(share for _, share, _ in parts) == pytest.approx(processes)
