"""Which stages an edit of a source file re-runs, according to DVC."""

import csv
from pathlib import Path

import pytest

from tests import project as tiny
from tests.pipeline.edits import TABLE, changed_stages, edits, table

ROOT = Path(__file__).resolve().parents[2]


def stages_of() -> dict[str, set[str]]:
    """The table in git: file -> stages."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        return {row["file"]: set(row["stages"].split()) for row in csv.DictReader(file)}


def test_the_table_names_every_source_file():
    files = {
        f.relative_to(ROOT).as_posix() for folder in ("stages", "vad") for f in (ROOT / folder).rglob("*.py")
    }
    assert set(stages_of()) == files, (
        "python -m tests.pipeline.edits --write (in a project that is up to date)"
    )


def test_edits_outside_training_retrain_nothing():
    free = (
        "evaluation",
        "drawing",
        "scoring",
        "footage",
        "layouts",
        "branches",
        "regions",
        "resize",
        "flow",
        "synthetic",
    )
    for file, stages in stages_of().items():
        package = Path(file).parts[1].removesuffix(".py")
        if package in free:
            assert "train" not in stages, file
        if package in {
            "evaluation",
            "drawing",
            "scoring",
            "footage",
            "layouts",
            "training",
            "regions",
            "resize",
        }:
            assert "measure" not in stages, file
        if package in {"evaluation", "drawing"}:
            assert stages <= {"sheet", "validate", "evaluate", "summarize", "report"}, file


@pytest.mark.slow
def test_dvc_says_what_the_table_says(tmp_path):
    project = tiny.make(tmp_path, choices=tiny.WEIGHT_FREE)
    project.repro()
    assert changed_stages(project.folder) == []
    assert table(edits(project.folder)) == TABLE.read_text("utf-8")
