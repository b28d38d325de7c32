"""Cuts regions out of frames and resizes them to windows for the autoencoder, a folder per split.

In: data/manifest.csv, data/frames/, data/regions/, data/body_height.json, data/flow/. Out:
data/tensors/train, …/val, …/test; data/tensors/folds.csv, the folds of the clips; data/tensors/skipped.csv,
the clips that are shorter than a window (only with data.on_error: skip).
"""

from pathlib import Path

from vad.footage.params import SourceParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.resize.cut import cut
from vad.resize.short import skip_short
from vad.store import manifest
from vad.store.body_heights import BodyHeights, read_body_heights
from vad.store.cards import read_card
from vad.windows.spec import ModelName, ResizeParams, TensorSpec, WindowParams

MANIFEST = Path("data/manifest.csv")
FRAMES, REGIONS, FLOW = Path("data/frames"), Path("data/regions"), Path("data/flow")
BODY_HEIGHTS, TENSORS = Path("data/body_height.json"), Path("data/tensors")


def main(run: stage.Run) -> None:
    # of the model, only its window: its other parameters do not change the tensors
    model = run.params("model", ModelName).name
    window = run.params(f"model.{model}.window", WindowParams)
    resize = run.params("resize", ResizeParams)
    on_error = run.params("data", SourceParams).on_error
    # before any work, so that a clip that is too short is known at once
    clips, short = skip_short(
        manifest.available(MANIFEST, FRAMES), FRAMES, window, f"model.{model}.window", on_error
    )
    for clip, reason in short.items():
        run.log(f"skipped {clip}: {reason}")
    heights = read_body_heights(BODY_HEIGHTS)
    for split in manifest.SPLITS:
        jobs = [_job(clip, heights, resize, window) for clip in clips if clip.split == split]
        each_clip(run, cut, jobs, TENSORS / split, label=f"resize {split}")
        if not jobs:  # DVC warns of empty folders, in each stage that uses them
            (TENSORS / split / "none.txt").write_text(f"This footage has no {split} clips.\n", "utf-8")
    manifest.write_folds(TENSORS / "folds.csv", clips)
    manifest.write_skipped(TENSORS / "skipped.csv", short)


def _job(row: manifest.Clip, heights: BodyHeights, resize: ResizeParams, window: WindowParams) -> Job:
    clip, frames = row.clip, read_card(FRAMES / row.clip)
    # at its rate, so that another interval recomputes only the clips whose windows have other frames
    spec = TensorSpec.of(resize, window.at(frames["fps"]))
    height = heights.of(row.camera, frames["shape"][1])
    # inputs only of tensors with flow planes: the others are not recomputed
    also = [read_card(FLOW / clip)["hash"], height.hash] if "flow" in spec.channels else []
    stems = [FRAMES / clip, REGIONS / clip]
    return Job.on(clip, stems, FLOW / clip, spec, height, name=Path(clip).name, also=also)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, REGIONS, BODY_HEIGHTS, FLOW])
