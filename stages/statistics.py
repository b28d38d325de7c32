"""Fits what is normal in the training clips, for all branches that are not autoencoders.

In: data/regions/ (training clips alone are read). Out: models/branches/, a folder for each such branch.
"""

import shutil
from pathlib import Path

from vad.branches.base import BRANCHES, save_statistics
from vad.branches.params import BranchesParams
from vad.pipeline import stage
from vad.pipeline.registry import defines

REGIONS, STATISTICS = Path("data/regions"), Path("models/branches")


def main(run: stage.Run) -> None:
    train = sorted(file.with_suffix("") for file in (REGIONS / "train").glob("*.parquet"))
    fitted = run.each("branches", BranchesParams, BRANCHES.names(defines("fit")))
    shutil.rmtree(STATISTICS, ignore_errors=True)
    for name, (branch, params) in fitted.items():
        statistics = branch(params).fit(train, lambda text, name=name: run.log(f"{name}: {text}"))
        save_statistics(STATISTICS / name, statistics)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[REGIONS])
