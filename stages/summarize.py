"""Writes the metrics and the summary that are kept in git.

In: reports/evaluation/, reports/validation/metrics.json, data/scores/events.csv, models/calibration.json,
data/skipped.csv, data/frames/skipped.csv, data/frames/gaps.csv, data/tensors/skipped.csv.
Out: metrics/evaluate.json, reports/summary.md.
"""

from pathlib import Path

from vad.evaluation import summary
from vad.pipeline import stage
from vad.scoring.evidence import Evidence
from vad.store import cards, manifest

EVALUATION, EVENTS = Path("reports/evaluation"), Path("data/scores/events.csv")
VALIDATION = Path("reports/validation/metrics.json")
SKIPPED = [Path("data/skipped.csv"), Path("data/frames/skipped.csv"), Path("data/tensors/skipped.csv")]
GAPS, CALIBRATION = Path("data/frames/gaps.csv"), Path("models/calibration.json")
METRICS, SUMMARY = Path("metrics/evaluate.json"), Path("reports/summary.md")


def main(run: stage.Run) -> None:
    result, events = cards.read_json(EVALUATION / "metrics.json"), summary.read_events(EVENTS)
    result |= {"validation": cards.read_json(VALIDATION)}
    skipped = {clip: reason for path in SKIPPED for clip, reason in manifest.read_skipped(path).items()}
    cards.write_json(METRICS, summary.metrics(result))
    gaps, stored = manifest.read_gaps(GAPS), cards.read_json(CALIBRATION)["evidence"]
    evidence = Evidence.from_json(stored) if stored else None
    SUMMARY.write_text(summary.markdown(result, EVALUATION, events, skipped, gaps, evidence), "utf-8")


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[EVALUATION, VALIDATION, EVENTS, GAPS, CALIBRATION, *SKIPPED])
