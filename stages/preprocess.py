"""Finds the regions of every frame with the mode set by preprocess.mode.

In: data/manifest.csv, data/frames/, data/flow/. Out: data/regions/; data/body_height.json (how tall people
are in the frames of each camera).
"""

from pathlib import Path

from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.regions import PreprocessParams, RegionMode
from vad.regions.body_height import fit_body_heights
from vad.regions.checks import check_body_height, check_sizes, review
from vad.regions.compute import compute_regions
from vad.store.body_heights import write_body_heights
from vad.store.cards import read_card
from vad.store.manifest import available

MANIFEST = Path("data/manifest.csv")
FRAMES, FLOW, REGIONS = Path("data/frames"), Path("data/flow"), Path("data/regions")
BODY_HEIGHTS = Path("data/body_height.json")


def main(run: stage.Run) -> None:
    choice, mode_class, params = run.choice("preprocess", PreprocessParams)
    clips = available(MANIFEST, FRAMES)
    if mode_class.uses_pixels:
        check_sizes(clips, FRAMES)
    check_body_height(choice.body_height, clips, FRAMES)
    mode: RegionMode = mode_class(params, choice.foreground)
    hashes = mode.prepare(run.cache)
    jobs = []
    for clip in clips:
        # flow is an input only of modes that read it: for the others, new flow recomputes no clip
        flow = [read_card(FLOW / clip.clip)["hash"]] if mode.reads_flow else []
        jobs.append(Job.on(clip.clip, [FRAMES / clip.clip], FLOW / clip.clip, mode, also=[*hashes, *flow]))
    each_clip(run, compute_regions, jobs, REGIONS)
    heights = fit_body_heights(clips, FRAMES, REGIONS, choice.body_height, mode, run.log)
    write_body_heights(BODY_HEIGHTS, heights)
    review(clips, REGIONS, run.log)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, FLOW])
