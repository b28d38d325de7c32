"""Training compared with Keras, scikit-learn, and a bare torch loop.

    python -m benchmarks.training [--rounds 3] [--epochs 2] [--pictures 960] [--no-keras]

All sides alternate on the same pictures, so that other load on the machine affects them equally: read the
ratios, as absolute figures depend on the machine. "Ours" is the whole of `vad.training.fit.fit`, with
validation, history and checkpoints; imports, compilation and warm-up are not counted. The losses beside the
speeds are those of the last training epoch; they show that the faster side learns as much.

- The network of `conv2d` in Keras, from the same initial weights (checked by comparing the initial losses):
  Keras reads JPEG files with OpenCV, ours reads tensors on disk; then both train from memory. Keras computes
  in 32 bits; ours also with bf16 autocast if the processor has bf16 instructions.
- scikit-learn's MLPRegressor and `dense`, which has the same layers, both from memory.
- A torch loop of a dozen lines and `fit`, both from memory.

Keras has a separate environment, .cache/bench-keras, which the first run makes (from PyPI, 1.7 GB, some
minutes). Pictures are the first of UCSD Ped2 under VAD_DATASETS (default ../shared/data), otherwise those of
data/sample, written as JPEG.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from tests.regions.clips import whole_frames
from tests.stream.clips import write_frames
from vad import models
from vad.footage.extract import ExtractParams, extract
from vad.footage.probe import probe
from vad.models import Autoencoder, to_input
from vad.models.conv2d import Conv2d
from vad.models.dense import Dense
from vad.regions.table import write
from vad.resize.cut import cut
from vad.store import arrays
from vad.store.body_heights import BodyHeight
from vad.training.fit import fit as fit_model
from vad.training.fit import fix_seed
from vad.training.params import TrainParams
from vad.windows.dataset import Windows
from vad.windows.spec import TensorSpec, WindowParams

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VAD_DATASETS", ROOT.parent / "shared" / "data"))
HOME = ROOT / ".cache" / "bench-keras"
NEEDED = ["tensorflow-cpu==2.21.0", f"opencv-python-headless=={version('opencv-python-headless')}"]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SIZE, BATCH, RATE, VALIDATION = 64, 32, 1e-3, 64
HIDDEN = [1024, 256, 64, 256, 1024]
FRAME = WindowParams(frames=1)
SPEC = TensorSpec(channels=["picture"], height=SIZE, width=SIZE, window=FRAME)
CONV = Conv2d.Params(channels=[32, 64, 128], window=FRAME)
DENSE = Dense.Params(hidden=HIDDEN, window=FRAME)


class Run(NamedTuple):
    """A finished training."""

    rate: float  # samples per second
    efficiency: float  # samples per second of processor time
    loss: float  # of the last epoch


class Stopwatch:
    """Measures elapsed time and processor time since it was created."""

    def __init__(self):
        self.begin = time.perf_counter(), time.process_time()

    def run(self, samples: int) -> Callable[[float], Run]:
        """Stops, and returns a `Run` that still needs its loss."""
        seconds = time.perf_counter() - self.begin[0]
        return partial(Run, samples / seconds, samples / (time.process_time() - self.begin[1]))


class Row(NamedTuple):
    """A comparison of two sides."""

    title: str
    ours: str
    theirs: str
    target: float


class Held(Windows):
    """Windows held in memory."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.held = super().__getitem__(np.arange(len(self)))

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self.held[indices]

    def floats(self) -> torch.Tensor:
        """All windows, in [0, 1]."""
        return to_input(self.held)


def pictures(folder: Path) -> tuple[str, list[Path]]:
    """The name of the data set, and its JPEG files, with a folder for each clip."""
    if files := sorted((DATA / "ucsd_ped2/Train").glob("*/*.jpg")):
        return "UCSD Ped2", files
    for source in sorted((ROOT / "data/sample/train").glob("*/*.mp4")):
        clip = folder / f"{source.parent.name}-{source.stem}"
        clip.mkdir(parents=True)
        extract(clip / "all", source, 0, probe(source).frames, ExtractParams(), threads=1)
        for i, frame in enumerate(arrays.open_array(clip / "all")[0]):
            cv2.imwrite(str(clip / f"{i:04}.jpg"), frame)
    return "data/sample (no ucsd_ped2/Train under VAD_DATASETS)", sorted(folder.glob("*/*.jpg"))


def tensors(folder: Path, paths: list[Path]) -> Path:
    """Makes windows of these pictures with the functions of the stages; returns their folder."""
    for clip, files in groupby(paths, lambda path: path.parent.name):
        frames, regions = folder / "frames" / clip, folder / "regions" / clip
        read = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
        write_frames(frames, np.stack(read), fps=25.0)
        write(regions, whole_frames(len(read), *read[0].shape))
        body = BodyHeight.default(read[0].shape[0])
        cut(folder / "tensors" / clip, frames, regions, folder / "flow", SPEC, body, threads=1)
    return folder / "tensors"


def fit(
    start: Autoencoder, train: Windows, val: Windows, epochs: int, precision: Any = 32, batch: int = BATCH
) -> Run:
    """Our training as in the stage `train`, but with the mean squared error as loss, like the other sides."""
    how = TrainParams(
        epochs=epochs,
        batch_size=batch,
        learning_rate=RATE,
        schedule="constant",
        weight_decay=0.0,
        early_stopping=epochs,
        loss={"mse": 1.0, "l1": 0.0},
        pseudo={"kind": "none"},
        precision=precision,
        accelerator="cpu",
    )
    model = copy.deepcopy(start)
    with tempfile.TemporaryDirectory(prefix="vad-bench-") as name:
        folder = Path(name)
        watch = Stopwatch()
        fit_model(
            model, train, val, how, folder, folder / "throughput.csv", folder / "cache", lambda line: None
        )
        run = watch.run(epochs * len(train))
        loss = pd.read_csv(folder / "history.csv")["train_loss"].iloc[-1]
    return run(loss)


def bare(start: Autoencoder, x: torch.Tensor, val: torch.Tensor, epochs: int, precision: Any = 32) -> Run:
    """A plain training loop in torch."""
    model = copy.deepcopy(start)

    def mse(batch: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != 32):
            return functional.mse_loss(model(batch).float(), batch)

    watch = Stopwatch()
    adam = torch.optim.Adam(model.parameters(), RATE, fused=True)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(x)).split(BATCH):
            adam.zero_grad()
            loss = mse(x[chosen])
            loss.backward()
            adam.step()
            total += loss.item() * len(chosen)
        model.eval()
        with torch.no_grad():
            sum(mse(batch).item() for batch in val.split(BATCH))
    return watch.run(epochs * len(x))(total / len(x))


def scikit(x: np.ndarray, epochs: int, batch: int) -> Run:
    """scikit-learn; without early stopping, it does not validate."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    fitted = MLPRegressor(
        hidden_layer_sizes=HIDDEN,
        alpha=0,
        batch_size=batch,
        learning_rate_init=RATE,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are used on purpose
        watch = Stopwatch()
        fitted.fit(x, x)
        run = watch.run(epochs * len(x))
    return run(2 * fitted.loss_curve_[-1])  # the curve is of half the squared error


class Keras:
    """The process of benchmarks/_keras.py, which computes only while it handles a request."""

    def __init__(self, python: Path, folder: Path, start: Autoencoder, train: list[Path], val: list[Path]):
        folder.mkdir()
        numbers = [p.detach().numpy() for p in start.parameters()]
        named = {f"{'wb'[i % 2]}{i // 2}": number for i, number in enumerate(numbers)}
        np.savez(folder / "weights.npz", **named)
        task = {"train": [*map(str, train)], "val": [*map(str, val)], "height": SIZE, "width": SIZE}
        task |= {"channels": CONV.channels, "batch_size": BATCH, "learning_rate": RATE, "threads": CORES}
        (folder / "task.json").write_text(json.dumps(task), "utf-8")
        self.log, self.samples = folder / "log", len(train)
        command = [python, Path(__file__).with_name("_keras.py"), folder]
        with open(self.log, "w") as log:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True)
        self.built = self._answer()

    def fit(self, feed: str, epochs: int) -> Run:
        """Trains with pictures from `feed`, "files" or "memory"."""
        print(feed, epochs, file=self.process.stdin, flush=True)
        answer = self._answer()
        done = epochs * self.samples
        return Run(done / answer["seconds"], done / answer["spent"], answer["loss"][-1])

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        if not (line := self.process.stdout.readline()):
            sys.exit(f"the process of Keras has ended:\n{self.log.read_text('utf-8')[-2000:]}")
        return json.loads(line)


def keras_python() -> Path | None:
    """The Python of the environment with Keras, which is created if it does not exist; None if that fails."""
    python, ready = HOME / "bin" / "python", HOME / "ready"
    if ready.is_file() and ready.read_text("utf-8").split() == NEEDED:
        return python
    print(f"making {HOME.relative_to(ROOT)} with {' and '.join(NEEDED)}: some minutes, once", flush=True)
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q", *NEEDED]
    for command in ([sys.executable, "-m", "venv", "--clear", HOME], install):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"comparisons with Keras are left out: {(done.stderr or done.stdout).strip()[-500:]}")
            return None
    ready.write_text("\n".join(NEEDED), "utf-8")
    return python


def has_bf16() -> bool:
    """Whether the processor computes in bf16; detected on Linux only."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(info.read_text("utf-8").split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each side")
    parser.add_argument("--epochs", type=int, default=2, help="of each run")
    parser.add_argument("--pictures", type=int, default=960, help="for training")
    parser.add_argument("--no-keras", action="store_true", help="leave Keras out")
    args = parser.parse_args()
    python = None if args.no_keras else keras_python()
    with tempfile.TemporaryDirectory(prefix="vad-bench-") as name:
        compare(Path(name), args.rounds, args.epochs, args.pictures, python)


def compare(folder: Path, rounds: int, epochs: int, n: int, python: Path | None) -> None:
    """Prepares the data, runs all sides alternately, and prints a row per comparison."""
    source, paths = pictures(folder / "pictures")
    n = min(n, len(paths) - VALIDATION)
    used, rest = paths[:n], paths[n : n + VALIDATION]
    stored = [Windows(tensors(folder / split, p)) for split, p in (("train", used), ("val", rest))]
    held = [Held(windows.folder) for windows in stored]
    x, val = (windows.floats() for windows in held)
    fix_seed(0)
    conv = models.create("conv2d", CONV, held[0].shape, held[0].channels)
    full = models.create("dense", DENSE, held[0].shape, held[0].channels)
    precisions = {"fp32": 32} | ({"bf16": "bf16-mixed"} if has_bf16() else {})

    sides: dict[str, Callable[[], Run]] = {}
    rows: list[Row] = []
    keras = None
    if python:
        keras = Keras(python, folder / "keras", conv, used, rest)
        check(keras, conv, val)
        sides |= {f"keras {feed}": lambda feed=feed: keras.fit(feed, epochs) for feed in ("files", "memory")}
    for bits, p in precisions.items():
        sides[f"stored {bits}"] = lambda p=p: fit(conv, *stored, epochs, p)
        sides[f"held {bits}"] = lambda p=p: fit(conv, *held, epochs, p)
        sides[f"bare {bits}"] = lambda p=p: bare(conv, x, val, epochs, p)
        fit(conv, held[1], held[1], 1, p)  # warms up
    if keras:
        for bits in precisions:
            title = f"conv2d {bits}, tensors : Keras, JPEG files"
            rows.append(Row(title, f"stored {bits}", "keras files", 2))
        for bits, target in zip(precisions, (1, 1.5), strict=False):
            title = f"conv2d {bits} : Keras fp32, both from memory"
            rows.append(Row(title, f"held {bits}", "keras memory", target))
    for batch in (32, 200):
        sides[f"scikit {batch}"] = lambda batch=batch: scikit(x.flatten(1).numpy(), epochs, batch)
        sides[f"dense {batch}"] = lambda batch=batch: fit(full, *held, epochs, batch=batch)
        title = f"dense fp32 : scikit-learn, batches of {batch}"
        rows.append(Row(title, f"dense {batch}", f"scikit {batch}", 2))
    for bits in precisions:
        rows.append(Row(f"conv2d {bits} : bare torch loop", f"held {bits}", f"bare {bits}", 0.95))

    print(f"{n} pictures of {source}, {SIZE}x{SIZE}, {epochs} epochs, {rounds} rounds, {CORES} threads")
    print(f"{conv.describe()}; {full.describe()}", flush=True)
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    for i in range(rounds):
        begin = time.monotonic()
        for side, work in sides.items():
            runs[side].append(work())
        print(f"round {i + 1}: {time.monotonic() - begin:.0f} s", flush=True)
    if keras:
        keras.stop()
    show(rows, runs)


def check(keras: Keras, model: Autoencoder, val: torch.Tensor) -> None:
    """Refuses to compare networks that differ in size or initial loss."""
    with torch.inference_mode():
        loss = functional.mse_loss(model(val), val).item()
    built, numbers = keras.built, sum(p.numel() for p in model.parameters())
    if built["parameters"] != numbers or abs(built["val_loss"] - loss) > 1e-6:
        sys.exit(f"not the same network: ours has {numbers} parameters and loss {loss:.6f}, Keras {built}")
    print(f"Keras {built['version']}: {numbers:,} parameters, first loss {loss:.6f}, as ours")


def show(rows: list[Row], runs: dict[str, list[Run]]) -> None:
    """Prints medians over the rounds; ratios are medians of the ratios within each round.

    Processor time is more reliable than elapsed time if others use the machine.
    """
    heads = ("ours", "theirs", "ratio", "target", "by CPU time", "our loss", "their loss")
    print(f"{'samples per second':<46}" + "".join(f"{head:>12}" for head in heads))
    for row in rows:
        a, b = (Run(*map(np.array, zip(*runs[side], strict=True))) for side in (row.ours, row.theirs))
        cells = [f"{np.median(side.rate):.0f}" for side in (a, b)]
        cells += [f"{np.median(a.rate / b.rate):.2f}", f">= {row.target:g}"]
        cells += [f"{np.median(a.efficiency / b.efficiency):.2f}"]
        cells += [f"{np.median(side.loss):.6f}" for side in (a, b)]
        print(f"{row.title:<46}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
