"""Turns the errors of the test clips into scores and events, without reading labels.

In: data/manifest.csv (cameras), data/frames/ (times), data/errors/, models/calibration.json.
Out: data/scores/, with all events in events.csv.
"""

from pathlib import Path

from vad.pipeline import stage
from vad.pipeline.clipwise import Job, each_clip
from vad.scoring.calibration import Calibration
from vad.scoring.event_tables import event_lines
from vad.scoring.scores import event_table, read_scores, score_clip
from vad.store import manifest
from vad.store.digests import digest_files

MANIFEST, FRAMES, ERRORS = Path("data/manifest.csv"), Path("data/frames"), Path("data/errors")
CALIBRATION, SCORES = Path("models/calibration.json"), Path("data/scores")


def main(run: stage.Run) -> None:
    calibration, version = Calibration.load(CALIBRATION), digest_files([CALIBRATION])
    clips = manifest.measured(MANIFEST, ERRORS, "test")
    for camera in calibration.without_footage(clip.camera for clip in clips):
        run.log(f"camera {camera!r} has no normal clips; it is calibrated on those of all cameras")
    jobs = [
        Job.on(
            clip.clip,
            [ERRORS / clip.clip, FRAMES / clip.clip],
            *(clip.clip, clip.camera, calibration),
            also=[clip.clip, clip.camera, version],
        )
        for clip in clips
    ]
    each_clip(run, score_clip, jobs, SCORES, parallel=False)  # faster than starting processes
    events = event_table({clip.clip: read_scores(SCORES / clip.clip) for clip in clips})
    events.to_csv(SCORES / "events.csv", index=False, float_format="%.8g", lineterminator="\n")
    run.log(f"{len(events)} events in {len(clips)} clips above the threshold {calibration.threshold:.4f}")
    for line in event_lines(events):
        run.log(line)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, ERRORS, CALIBRATION])
