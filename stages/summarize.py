"""Puts the few figures that git keeps where people look for them; costs a second.

In: reports/evaluation/, data/skipped.csv, data/frames/skipped.csv.
Out: metrics/evaluate.json, reports/summary.md.
"""

from pathlib import Path

from vad.evaluation import summary
from vad.pipeline import stage
from vad.store import cards, manifest

EVALUATION, SKIPPED = Path("reports/evaluation"), [Path("data/skipped.csv"), Path("data/frames/skipped.csv")]
METRICS, SUMMARY = Path("metrics/evaluate.json"), Path("reports/summary.md")


def main(run: stage.Run) -> None:
    result = cards.read_json(EVALUATION / "metrics.json")
    skipped = {clip: reason for path in SKIPPED for clip, reason in manifest.read_skipped(path).items()}
    cards.write_json(METRICS, summary.metrics(result))
    SUMMARY.write_text(summary.markdown(result, EVALUATION, skipped), "utf-8")


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[EVALUATION, *SKIPPED])
