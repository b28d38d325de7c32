"""Fits the statistics of the training clips for every branch that defines `fit`, once per fold.

In: data/manifest.csv, data/frames/ (cards only), data/regions/, data/flow/, data/body_height.json,
data/tensors/folds.csv, data/tensors/skipped.csv. Out: models/branches/, a folder per fold (without folds, one
named 0), and in it a folder per branch.
"""

import shutil
from pathlib import Path

from vad.branches.base import BRANCHES, NormalClip, save_statistics
from vad.branches.params import BranchesParams
from vad.pipeline import stage
from vad.pipeline.registry import defines
from vad.store.body_heights import read_body_heights
from vad.store.cards import read_card
from vad.store.manifest import available, read_folds, read_skipped

MANIFEST, FRAMES = Path("data/manifest.csv"), Path("data/frames")
REGIONS, FLOW, BODY_HEIGHTS = Path("data/regions"), Path("data/flow"), Path("data/body_height.json")
FOLDS, SKIPPED = Path("data/tensors/folds.csv"), Path("data/tensors/skipped.csv")
STATISTICS = Path("models/branches")


def main(run: stage.Run) -> None:
    clips, folds = training_clips(), read_folds(FOLDS)
    # the other branches are not even imported, so an edit of them does not re-run this stage
    fitted = run.each("branches", BranchesParams, BRANCHES.names(defines("fit")))
    # one instance for all folds, so that it can keep what it computes of a clip
    branches = {name: branch(params) for name, (branch, params) in fitted.items()}
    shutil.rmtree(STATISTICS, ignore_errors=True)
    for fold in sorted({*folds.values()}) or [0]:
        # without folds, no clip has one
        others = [clip for clip in clips if folds.get(clip.clip) != fold]
        of_fold = f"fold {fold}, " if folds else ""
        for name, branch in branches.items():
            title = f"{of_fold}{name}"
            statistics = branch.fit(others, lambda text, title=title: run.log(f"{title}: {text}"))
            save_statistics(STATISTICS / str(fold) / name, statistics)


def training_clips() -> list[NormalClip]:
    """The clips of the split `train` that no stage skipped."""
    skipped, heights = read_skipped(SKIPPED), read_body_heights(BODY_HEIGHTS)
    clips = []
    for clip in available(MANIFEST, FRAMES):
        if clip.split == "train" and clip.clip not in skipped:
            card = read_card(FRAMES / clip.clip)
            frames, height, width = card["shape"][:3]
            normal = NormalClip(
                clip=clip.clip,
                camera=clip.camera,
                regions=REGIONS / clip.clip,
                flow=FLOW / clip.clip,
                frame=(height, width),
                frames=frames,
                fps=card["fps"],
                body_height=heights.of(clip.camera, height),
            )
            clips.append(normal)
    return clips


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, REGIONS, FLOW, BODY_HEIGHTS, FOLDS, SKIPPED])
