"""Fits the statistics of the training clips for every branch that defines `fit`.

In: data/regions/ (training clips only), data/tensors/skipped.csv. Out: models/branches/, a folder per branch.
"""

import shutil
from pathlib import Path

from vad.branches.base import BRANCHES, save_statistics
from vad.branches.params import BranchesParams
from vad.pipeline import stage
from vad.pipeline.registry import defines
from vad.store.manifest import read_skipped

REGIONS, SKIPPED = Path("data/regions"), Path("data/tensors/skipped.csv")
STATISTICS = Path("models/branches")


def main(run: stage.Run) -> None:
    skipped = read_skipped(SKIPPED)
    stems = sorted(file.with_suffix("") for file in (REGIONS / "train").glob("*.parquet"))
    train = [stem for stem in stems if f"train/{stem.name}" not in skipped]
    # the other branches are not even imported, so an edit of them does not re-run this stage
    fitted = run.each("branches", BranchesParams, BRANCHES.names(defines("fit")))
    shutil.rmtree(STATISTICS, ignore_errors=True)
    for name, (branch, params) in fitted.items():
        statistics = branch(params).fit(train, lambda text, name=name: run.log(f"{name}: {text}"))
        save_statistics(STATISTICS / name, statistics)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[REGIONS, SKIPPED])
