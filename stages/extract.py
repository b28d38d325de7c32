"""Decodes every clip of the manifest into an array of frames.

In: data/manifest.csv, the footage below data.root.
Out: data/frames/ with skipped.csv (only with data.on_error: skip) and gaps.csv (gaps in time stamps).
"""

from pathlib import Path

from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.footage.params import SourceParams
from vad.footage.pictures import PictureFormat
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.store import cards, manifest
from vad.store.manifest import available

MANIFEST, FRAMES = Path("data/manifest.csv"), Path("data/frames")


def main(run: stage.Run) -> None:
    data = run.params("data", SourceParams)
    params = run.params("extract", ExtractParams)
    root = run.reads(Path(data.root))
    jobs = []
    for clip in manifest.read_manifest(MANIFEST):
        source, pictures = root / clip.source, PictureFormat(clip.fps, data.bits)
        # a video has its own times and bits, so it is not decoded again when those of pictures change
        of_pictures = (str(pictures.fps), str(pictures.bits)) if source.is_dir() else ()
        jobs.append(
            Job(
                clip=clip.clip,
                name=clip.clip,
                inputs=(clip.hash, str(clip.first), str(end(clip)), *of_pictures),
                args=(source, clip.first, end(clip), params, pictures),
                frames=clip.end - clip.first,
            )
        )
    skipped = each_clip(run, extract, jobs, FRAMES, on_error=data.on_error)
    # the list goes into a report, which must not contain absolute paths of this machine
    reasons = {clip: reason.replace(f"{root}/", "") for clip, reason in skipped.items()}
    manifest.write_skipped(FRAMES / "skipped.csv", reasons)
    made = {clip: cards.read_card(FRAMES / clip.clip) for clip in available(MANIFEST, FRAMES)}
    manifest.write_gaps(FRAMES / "gaps.csv", {clip.clip: card["gaps"] for clip, card in made.items()})
    if n := sum(len(card["gaps"]) for card in made.values()):
        run.log(f"gaps in time stamps: {n}, listed in {FRAMES}/gaps.csv")
    for clip, card in made.items():
        if card["source_end"] != clip.end:
            run.log(f"{clip.clip}: {card['source_end']} frames could be decoded, {clip.end} were expected")


def end(clip: manifest.Clip) -> int | None:
    """The number after the last frame; None for a clip that goes to the end of its source."""
    return None if clip.end == clip.frames else clip.end


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST])
