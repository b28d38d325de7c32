"""Learns how the detector sees normal regions, if a detector looked for them.

In: data/regions/ (training clips alone are read). Out: models/novelty/.
"""

import shutil
from pathlib import Path

from vad.branches import classes
from vad.pipeline import stage

REGIONS, NOVELTY = Path("data/regions"), Path("models/novelty")


def main(run: stage.Run) -> None:
    params = run.params("novelty", classes.NoveltyParams)
    found = classes.fit(sorted(p.with_suffix("") for p in (REGIONS / "train").glob("*.parquet")), params)
    run.log("no detector, so no class novelty" if found is None else f"{len(found.basis)} components")
    shutil.rmtree(NOVELTY, ignore_errors=True)
    classes.save(found, NOVELTY)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[REGIONS])
