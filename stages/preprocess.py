"""Says where to look: the regions of every frame, by the mode that preprocess.mode names.

In: data/manifest.csv, data/frames/, data/flow/. Out: data/regions/.
"""

from pathlib import Path

from vad import clips, clipwise, regions, stage

MANIFEST = Path("data/manifest.csv")
FRAMES, FLOW, REGIONS = Path("data/frames"), Path("data/flow"), Path("data/regions")


def main(run: stage.Run) -> None:
    _, mode, params = run.choice("preprocess", regions.PreprocessParams)
    compute = run.params("compute", clipwise.ComputeParams)
    jobs = [
        clipwise.Job.on(clip.clip, [FRAMES / clip.clip, FLOW / clip.clip], params)
        for clip in clips.available(MANIFEST, FRAMES)
    ]
    clipwise.run(
        mode.regions, jobs, REGIONS, params=params, cache=run.cache, compute=compute, label="preprocess"
    )


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, FLOW])
