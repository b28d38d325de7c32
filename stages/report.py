"""Writes the page that shows what the run found: figures, curves, pictures and videos, which a browser opens.

In: what the other stages wrote. Out: reports/page/, with index.html, data.js, and below media/ and
reconstruction/ the pictures and videos.
"""

import shutil
from pathlib import Path

from vad.evaluation.params import EvaluateParams
from vad.pipeline import stage
from vad.pipeline.clipwise import each_clip
from vad.report import page
from vad.report.footage import Sources, read_footage, require_possible
from vad.report.gather import gather
from vad.report.media import draw_clip
from vad.report.params import ReportParams
from vad.report.plan import coded_clips, make_plan, picture_jobs

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
    run.log("reading scores, errors and frames")  # the first pictures take a while
    params, evaluate = run.params("report", ReportParams), run.params("evaluate", EvaluateParams)
    footage = read_footage(SOURCES)
    require_possible(footage, params.privacy)
    plan = make_plan(footage, params)
    # the earlier page stays until the new one is whole
    part = PAGE.with_name(f"{PAGE.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        # a few pictures are drawn faster than processes start
        drawn = params.videos != "none" or params.privacy != "none"
        each_clip(run, draw_clip, picture_jobs(footage, plan), part / "media", parallel=drawn)
        if coded := coded_clips(footage, plan, params):
            from vad.report.reconstruction import draw_reconstruction, reconstruction_jobs  # loads torch

            jobs, label = reconstruction_jobs(coded, footage), f"{run.name} reconstruction"
            # torch already uses all cores
            each_clip(run, draw_reconstruction, jobs, part / "reconstruction", label=label, parallel=False)
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
