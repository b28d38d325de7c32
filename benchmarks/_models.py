"""The table of all autoencoders on one data set: size, speed, memory, AUC.

    python -m benchmarks._models ped2 --root PATH [--only conv2d,cube] [--epochs 10]

Runs the pipeline once per model, with the same frames and epochs, in a clone of the last commit below
.cache/models. This takes most of an hour on two cores, so `make bench` omits it. Prints a table in Markdown,
and appends each row to .cache/models/<recipe>.csv when it is complete. Results use test labels, so record
every run in reports/experiments.md.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from vad import recipe
from vad.pipeline import params

ROOT = Path(__file__).resolve().parents[1]
STRIDED = {"resize.stride": 2}  # windows of several frames overlap, so every second window suffices
RUNS: dict[str, dict[str, int]] = {  # model -> parameters in addition to those of the recipe
    "mlp": {},
    "dense": {},
    "conv2d": {},
    "vgg16": {},
    "convlstm": STRIDED,
    "conv3d": STRIDED,
    "memae": {},
    "unet": STRIDED,
    "cube": {},
}
COLUMNS = ["model", "parameters", "windows", "train s", "windows/s", "peak MB", "micro", "macro"]
COLUMNS += ["measure ms/frame"]


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("recipe", help="ped2, falls, …")
    parser.add_argument("--root", required=True, help="the footage")
    parser.add_argument("--only", default=",".join(RUNS), help="models, separated by commas")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--set", nargs="*", default=[], help="further parameters for all models, key=value in JSON"
    )
    args = parser.parse_args()
    folder = ROOT / ".cache/models" / args.recipe
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    more = {"branches.reconstruction.maps": False, "train.epochs": args.epochs}
    more |= {key: json.loads(value) for key, _, value in (item.partition("=") for item in args.set)}
    rows = []
    for name in args.only.split(","):
        subprocess.run(["git", "checkout", "-q", "params.yaml"], cwd=folder, check=True)
        method = "weight_free" if name == "cube" else "whole_frame"  # the recipe that the model is meant for
        base = recipe.overrides([args.recipe, method], str(Path(args.root).resolve()))
        recipe.write(base | more | RUNS[name] | {"model.name": name}, folder / params.FILE)
        rows.append(measure(folder, name))
        with open(folder.with_suffix(".csv"), "a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(rows[-1])
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for row in rows:
        print(f"| {' | '.join(str(value) for value in row)} |")


def measure(folder: Path, name: str) -> list:
    """A row of the table, with the columns COLUMNS."""
    run(folder, "dvc", "repro", "-q", "resize", "statistics")
    seconds, peak, output = run(folder, sys.executable, "-m", "stages.train")
    *_, measured = run(folder, sys.executable, "-m", "stages.measure")
    for stage in ("calibrate", "score", "evaluate", "summarize"):
        run(folder, sys.executable, "-m", f"stages.{stage}")
    card = json.loads((folder / "models/autoencoder/0/card.json").read_text("utf-8"))
    frame = json.loads((folder / "metrics/evaluate.json").read_text("utf-8"))["frame"]
    windows = re.search(r"on (\d+) windows", output)[1]
    speeds = (folder / "reports/throughput.csv").read_text("utf-8").split()[1:] if name != "mlp" else []
    speeds = sorted(float(line.rpartition(",")[2]) for line in speeds)
    frames = re.search(r"measure: clip .*, (\d+) frames/s", measured)[1]
    return [
        name,
        f"{card['parameters']:,}",
        windows,
        f"{seconds:.0f}",
        f"{speeds[len(speeds) // 2]:.0f}" if speeds else "",
        f"{peak:.0f}",
        frame["auc_micro"],
        frame["auc_macro"],
        f"{1000 / int(frames):.2f}",
    ]


def run(folder: Path, *command: str) -> tuple[float, float, str]:
    """Runs a command; returns its seconds, its peak resident memory in MB, and its stderr."""
    start = time.monotonic()
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    child = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, encoding="utf-8")
    output = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{output}")
    sys.stderr.write(output)
    return time.monotonic() - start, used.ru_maxrss / 1024, output


if __name__ == "__main__":
    main()
