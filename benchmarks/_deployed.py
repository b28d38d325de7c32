"""Deployed models and footage for the benchmarks of live use."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vad.live import TrainedModel, load_deployed
from vad.store.body_heights import BodyHeights

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VAD_DATASETS", ROOT.parent / "shared" / "data"))
FOOTAGE = {
    "sample 176x132": ROOT / "data/sample/test/hall/run.mp4",
    "Ped2 360x240": DATA / "ucsd_ped2/Test/Test001",
    "vtest 480x360": DATA / "samples/vtest-480x360.avi",
    "one-by-one 768x432": DATA / "samples/one-by-one-person-detection.mp4",
}
WEIGHTS = DATA / "weights/yolox_nano.onnx"
DEPLOYED = Path("models/deployed")
STAGES = ["ingest", "extract", "flow", "preprocess", "resize", "train", "statistics", "measure"]
STAGES += ["pictures", "calibrate", "export"]
CORES = sorted(os.sched_getaffinity(0))[:2]
# runs stages in one process
RUN = """
import importlib, sys
from vad.pipeline import stage
for name in sys.argv[1:]:
    importlib.import_module(f"stages.{name}").main(stage.Run(name))
"""


def train(folder: Path, recipe: str) -> Path:
    """Trains a recipe on the sample in a clone of the project, and exports it.

    Args:
        folder: for the clone.
        recipe: `weight_free`, or `objects`, which needs the weights of a detector.

    Returns:
        The root folder of the clone.
    """
    project = folder / recipe
    subprocess.run(["git", "clone", "-q", ROOT, project], check=True)
    (project / "dvc.lock").unlink()  # of other parameters
    options = ["--weights", str(WEIGHTS)] if recipe == "objects" else []
    write = [sys.executable, "-m", "vad.recipe", "sample", recipe, *options, "--write"]
    subprocess.run(write, cwd=project, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", RUN, *STAGES], cwd=project, check=True, stderr=subprocess.DEVNULL)
    return project


@contextmanager
def project_of(given: Path | None, recipe: str) -> Iterator[Path]:
    """A project with a deployed model: the one given, or a temporary one that is trained on the sample."""
    if given is not None:
        yield given.resolve()
        return
    with TemporaryDirectory() as folder:
        yield train(Path(folder), recipe)


def at_height(model: TrainedModel, rows: int) -> TrainedModel:
    """The model as if it had been trained on frames of another height, so that none are reduced.

    Args:
        model: the model.
        rows: height of the frames in pixels.
    """
    cameras = {name: height.scaled(rows) for name, height in model.body_heights.cameras.items()}
    return replace(model, body_heights=BodyHeights(cameras))


def load(project: Path, rows: int) -> TrainedModel:
    """Loads the deployed model of a project, as if it had been trained on frames of a height in pixels."""
    return at_height(load_deployed(project / DEPLOYED), rows)


def child(command: list[str], cores: int) -> str:
    """Runs `python -m` with arguments in a process that may use only as many cores; returns its output."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pinned = ["taskset", "-c", ",".join(map(str, CORES[:cores])), sys.executable, "-m", *command]
    done = subprocess.run(pinned, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: failed")  # the rest may have passwords in it
    return done.stdout
