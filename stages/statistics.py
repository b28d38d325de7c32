"""Fits the statistics of the training clips for every branch that defines `fit`, once per fold.

In: data/regions/ (training clips only), data/tensors/folds.csv, data/tensors/skipped.csv. Out:
models/branches/, a folder per fold (without folds 0 alone), and in it one per branch.
"""

import shutil
from pathlib import Path

from vad.branches.base import BRANCHES, save_statistics
from vad.branches.params import BranchesParams
from vad.pipeline import stage
from vad.pipeline.registry import defines
from vad.store.manifest import read_folds, read_skipped

REGIONS = Path("data/regions")
FOLDS, SKIPPED = Path("data/tensors/folds.csv"), Path("data/tensors/skipped.csv")
STATISTICS = Path("models/branches")


def main(run: stage.Run) -> None:
    skipped, folds = read_skipped(SKIPPED), read_folds(FOLDS)
    stems = sorted(file.with_suffix("") for file in (REGIONS / "train").glob("*.parquet"))
    train = {clip: stem for stem in stems if (clip := f"train/{stem.name}") not in skipped}
    # the other branches are not even imported, so an edit of them does not re-run this stage
    fitted = run.each("branches", BranchesParams, BRANCHES.names(defines("fit")))
    shutil.rmtree(STATISTICS, ignore_errors=True)
    for fold in sorted({*folds.values()}) or [0]:
        # without folds, no clip has one
        others = [stem for clip, stem in train.items() if folds.get(clip) != fold]
        of_fold = f"fold {fold}, " if folds else ""
        for name, (branch, params) in fitted.items():
            title = f"{of_fold}{name}"
            statistics = branch(params).fit(others, lambda text, title=title: run.log(f"{title}: {text}"))
            save_statistics(STATISTICS / str(fold) / name, statistics)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[REGIONS, FOLDS, SKIPPED])
