"""The graph of a deployed model compared with the networks in torch: milliseconds per frame on one core.

    python -m benchmarks.graph [--project DIR] [--rounds 300]

The model is of the recipe `weight_free`, trained on the sample, or that of --project, a folder in which `dvc
repro` has run. Both measure the errors of windows and of their pixels with the networks of all folds, in
turn. The windows are noise: what they show changes no time. The time of the processor counts.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks._deployed import DEPLOYED, child, project_of
from vad.branches.ensemble import trained_folds
from vad.branches.graph import Graph
from vad.branches.network import Network, ReductionParams
from vad.branches.window_errors import WindowErrors
from vad.live.deployed_model import GRAPH

AUTOENCODERS = Path("models/autoencoder")
REGIONS = (1, 4, 10)  # in a frame


def milliseconds(networks: Sequence[Network], windows: np.ndarray) -> float:
    """Processor time in which networks measure windows one after another."""
    start = time.process_time()
    for network in networks:
        network.measure(windows, pixels=True)
    return 1000 * (time.process_time() - start)


def compare(project: Path, rounds: int) -> None:
    """Prints a table."""
    torch.set_num_threads(1)
    graph = Graph(project / DEPLOYED / GRAPH, threads=1)
    folders = [project / AUTOENCODERS / str(fold) for fold in trained_folds(project / AUTOENCODERS)]
    networks = [WindowErrors.load(folder, ReductionParams()) for folder in folders]
    shape = "x".join(map(str, graph.shape))
    print(f"{len(networks)} folds, windows of {shape}: milliseconds per frame, medians")
    print(f"{'regions':>7} {'graph':>7} {'torch':>7} {'ratio':>6}")
    for regions in REGIONS:
        windows = np.random.default_rng(0).integers(0, 256, (regions, *graph.shape), np.uint8)
        by_graph, by_torch = [], []
        for _ in range(rounds):
            by_graph.append(milliseconds([graph], windows))
            by_torch.append(milliseconds(networks, windows))
        a, b = median(by_graph), median(by_torch)
        print(f"{regions:7} {a:7.2f} {b:7.2f} {a / b:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        compare(args.project, args.rounds)
        return
    with project_of(args.project, "weight_free") as project:
        command = ["benchmarks.graph", "--child", "--project", str(project), "--rounds", str(args.rounds)]
        print(child(command, 1), end="")


if __name__ == "__main__":
    main()
