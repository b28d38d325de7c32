"""Cuts regions out of frames and resizes them: windows for the autoencoder, one folder per split.

In: data/manifest.csv, data/frames/, data/regions/, data/flow/. Out: data/tensors/train, …/val, …/test.
"""

from pathlib import Path

from vad.pipeline import clipwise, stage
from vad.resize import cut
from vad.store import cards, manifest
from vad.windows import spec

MANIFEST = Path("data/manifest.csv")
FRAMES, REGIONS, FLOW = Path("data/frames"), Path("data/regions"), Path("data/flow")
TENSORS = Path("data/tensors")


def main(run: stage.Run) -> None:
    name = run.params("model", spec.ModelName).name
    model = run.params(f"model.{name}", spec.ModelWindow)
    params = spec.WindowParams.of(run.params("resize", spec.ResizeParams), model)
    compute = run.params("compute", clipwise.ComputeParams)
    clips = manifest.available(MANIFEST, FRAMES)
    for split in manifest.SPLITS:
        jobs = [
            clipwise.Job.on(
                clip.clip,
                [FRAMES / clip.clip, REGIONS / clip.clip],
                FLOW / clip.clip,
                params,
                name=Path(clip.clip).name,
                # another flow makes no clip anew that does not show it
                also=[cards.read_card(FLOW / clip.clip)["hash"]] if "flow" in params.channels else [],
            )
            for clip in clips
            if clip.split == split
        ]
        clipwise.run(
            cut.cut,
            jobs,
            TENSORS / split,
            params=params,
            cache=run.cache,
            compute=compute,
            label=f"resize {split}",
        )


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, REGIONS, FLOW])
