"""What an edit re-runs: appends a comment to every source file in turn and asks DVC which stages changed.

    python -m tests.pipeline.edits            in a project that is up to date: prints the table
    python -m tests.pipeline.edits --write    also writes tests/pipeline/edits.csv, which a test holds DVC to

These are the stages that depend on the file. Stages after them run only if an output comes out different.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

TABLE = Path(__file__).with_suffix(".csv")


def changed_stages(root: Path) -> list[str]:
    """The stages that DVC calls changed, in the order of dvc.yaml."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        status = repo.status()
        return [stage.name for stage in repo.index.stages if stage.addressing in status]


def edits(root: Path) -> Iterator[tuple[str, list[str]]]:
    """(source file, the stages that an edit of it re-runs) of a project that is up to date.

    Of each stage, only the dependencies on source files are looked at: an edit changes no other, and data
    take time to look through.
    """
    from dvc.repo import Repo

    folders = [root / folder for folder in ("stages", "vad")]
    files = sorted(f for folder in folders for f in folder.rglob("*.py"))
    with Repo(str(root)) as repo:
        sources = {
            stage.name: [dep for dep in stage.deps if any(_within(dep.fs_path, f) for f in folders)]
            for stage in repo.index.stages
        }
        for file in tqdm(files, disable=not sys.stderr.isatty(), leave=False):
            before = file.read_bytes()
            try:
                file.write_bytes(before + b"# an edit\n")
                changed = [
                    name for name, deps in sources.items() if any(dep.workspace_status() for dep in deps)
                ]
                yield file.relative_to(root).as_posix(), changed
            finally:
                file.write_bytes(before)


def _within(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


def table(rows: Iterator[tuple[str, list[str]]]) -> str:
    """As CSV: file, stages."""
    return "file,stages\n" + "".join(f"{file},{' '.join(stages)}\n" for file, stages in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.pipeline.edits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    write = parser.parse_args().write
    if stale := changed_stages(Path()):
        sys.exit(f"error: {', '.join(stale)} changed already; run `dvc repro` first")
    text = table(edits(Path.cwd()))
    print(text, end="")
    if write:
        TABLE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
