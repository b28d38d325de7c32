"""Decodes every clip of the manifest to one array of frames.

In: data/manifest.csv, the footage below data.root. Out: data/frames/.
"""

from pathlib import Path

from vad.footage import decode, layouts
from vad.pipeline import clipwise, stage
from vad.store import manifest

MANIFEST, FRAMES = Path("data/manifest.csv"), Path("data/frames")


def main(run: stage.Run) -> None:
    data, _, _ = run.choice("data", layouts.DataParams)
    params = run.params("extract", decode.ExtractParams)
    compute = run.params("compute", clipwise.ComputeParams)
    root = run.reads(Path(data.root))
    clips = manifest.read_manifest(MANIFEST)
    jobs = [
        clipwise.Job(
            clip=clip.clip,
            name=clip.clip,
            inputs=(clip.hash, str(clip.first), str(clip.end)),
            args=(root / clip.source, clip.first, clip.end, params),
            frames=clip.end - clip.first,
        )
        for clip in clips
    ]
    skipped = clipwise.run(
        decode.extract,
        jobs,
        FRAMES,
        params=params,
        cache=run.cache,
        compute=compute,
        label="extract",
        on_error=data.on_error,
    )
    # reports name no folders of this machine
    reasons = {clip: reason.replace(f"{root}/", "") for clip, reason in skipped.items()}
    manifest.write_skipped(FRAMES / "skipped.csv", reasons)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST])
