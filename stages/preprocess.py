"""Says where to look: the regions of every frame, by the mode that preprocess.mode names.

In: data/manifest.csv, data/frames/, data/flow/. Out: data/regions/; reports/preprocess/, pictures to check
at a glance what was found.
"""

from pathlib import Path

from vad import regions
from vad.drawing import contact_sheet
from vad.pipeline import clipwise, stage
from vad.store import cards, manifest

MANIFEST = Path("data/manifest.csv")
FRAMES, FLOW, REGIONS = Path("data/frames"), Path("data/flow"), Path("data/regions")
SHEETS = Path("reports/preprocess")


def main(run: stage.Run) -> None:
    _, mode, params = run.choice("preprocess", regions.PreprocessParams)
    compute = run.params("compute", clipwise.ComputeParams)
    clips = manifest.available(MANIFEST, FRAMES)
    if mode.SAME_SIZE:
        regions.check_sizes(clips, FRAMES)
    ready, hashes = mode.prepare(params, run.cache)
    flow = mode.needs_flow(params)  # else another flow makes no clip anew
    jobs = [
        clipwise.Job.on(
            clip.clip,
            [FRAMES / clip.clip],
            FLOW / clip.clip,
            params,
            ready,
            also=[*hashes, cards.read_card(FLOW / clip.clip)["hash"] if flow else ""],
        )
        for clip in clips
    ]
    clipwise.run(
        mode.regions, jobs, REGIONS, params=params, cache=run.cache, compute=compute, label="preprocess"
    )
    contact_sheet.write(SHEETS, clips, FRAMES, FLOW, REGIONS)
    regions.review(clips, REGIONS, run.log)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, FLOW])
