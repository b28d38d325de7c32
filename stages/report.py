"""Writes the page that shows what the run found: figures, curves, pictures and videos, which a browser opens.

In: what the other stages wrote. Out: reports/page/, with index.html, data.js, and below media/ and
reconstruction/ the pictures and videos.
"""

import shutil
from pathlib import Path

from vad.evaluation.params import EvaluateParams
from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.report import page
from vad.report.footage import Sources, read_footage
from vad.report.gather import gather
from vad.report.media import draw_clip
from vad.report.params import ReportParams
from vad.report.plan import make_plan
from vad.report.scripts import safe_name
from vad.store.digests import digest_files

SOURCES = Sources(
    manifest=Path("data/manifest.csv"),
    labels=Path("data/labels.csv"),
    frames=Path("data/frames"),
    regions=Path("data/regions"),
    errors=Path("data/errors"),
    scores=Path("data/scores"),
    body_heights=Path("data/body_height.json"),
    zones=Path("data/zones.yaml"),
    calibration=Path("models/calibration.json"),
    autoencoder=Path("models/autoencoder"),
    deployed=Path("models/deployed"),
    tensors=Path("data/tensors/test"),
    evaluation=Path("reports/evaluation"),
    validation=Path("reports/validation/metrics.json"),
    history=Path("reports/training/history.csv"),
    skipped=(Path("data/skipped.csv"), Path("data/frames/skipped.csv"), Path("data/tensors/skipped.csv")),
)
PAGE = Path("reports/page")


def main(run: stage.Run) -> None:
    params, evaluate = run.params("report", ReportParams), run.params("evaluate", EvaluateParams)
    footage = read_footage(SOURCES)
    plan = make_plan(footage, params)
    # the earlier page stays until the new one is whole
    part = PAGE.with_name(f"{PAGE.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        version = digest_files([SOURCES.calibration])
        jobs = []
        for clip, wanted in plan.wanted.items():
            stems = [SOURCES.errors / clip, SOURCES.frames / clip, SOURCES.regions / clip]
            normal = clip in footage.normal  # which has no scores
            scores, args = ([], [None]) if normal else ([SOURCES.scores / clip], [])
            also = [version, wanted.hash]
            jobs.append(
                Job.on(
                    clip,
                    [*stems, *scores],
                    *args,
                    wanted,
                    footage.calibration,
                    name=safe_name(clip),
                    also=also,
                )
            )
        drawn = params.videos != "none" or params.privacy != "none"
        each_clip(run, draw_clip, jobs, part / "media", parallel=drawn)  # a few pictures need no processes
        page.write(part, gather(part, footage, plan, evaluate, params))
        shutil.rmtree(PAGE, ignore_errors=True)
        part.replace(PAGE)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    videos = sum(path.suffix == ".mp4" for path in files)
    size = sum(path.stat().st_size for path in files) / 1e6
    run.log(f"open {PAGE / 'index.html'} in a browser; {videos} videos, {size:.1f} MB in all")


if __name__ == "__main__":
    reads = [value for value in vars(SOURCES).values() if isinstance(value, Path)]
    stage.run(main, __doc__, reads=[*reads, *SOURCES.skipped])
