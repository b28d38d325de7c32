"""The course of a training as files: tables that `dvc plots` draws.

| file | a row per | columns |
|---|---|---|
| history.csv | epoch | epoch, train_loss, val_loss, learning_rate |
| steps.csv | twentieth of an epoch | epoch (how many are done, with a fraction), loss, learning_rate |
| throughput.csv | twentieth of an epoch | epoch, samples_per_second |

The first two depend on parameters, data, code and machine alone. Speed differs from run to run, so
throughput.csv lies elsewhere, where neither git nor DVC keeps it.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

COLUMNS = {
    "history": ["epoch", "train_loss", "val_loss", "learning_rate"],
    "steps": ["epoch", "loss", "learning_rate"],
    "throughput": ["epoch", "samples_per_second"],
}


class Reports:
    """The files, written row by row.

    Args:
        folder: of history.csv and steps.csv.
        throughput: path of throughput.csv.
        writes: whether this process writes them: in a distributed run, only the first.

    Attributes:
        rows: of history.csv and steps.csv so far, for a training that is resumed.
    """

    def __init__(self, folder: Path, throughput: Path, writes: bool = True):
        self._files = {"history": folder / "history.csv", "steps": folder / "steps.csv"}
        self._files["throughput"] = throughput
        self._writes = writes
        self.rows: dict[str, list[list[str]]] = {"history": [], "steps": []}

    def begin(self) -> None:
        """Writes all files anew, with the rows of an earlier part of this training."""
        if self._writes:
            for name, path in self._files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, "w", [COLUMNS[name], *self.rows.get(name, [])])

    def add_epoch(self, epoch: int, train_loss: float, val_loss: float | None, learning_rate: float) -> None:
        """A row of history.csv; `epoch` counts from 0."""
        val = "" if val_loss is None else f"{val_loss:.8g}"
        self._add("history", [str(epoch), f"{train_loss:.8g}", val, f"{learning_rate:.8g}"])

    def add_step(self, epochs_done: float, loss: float, learning_rate: float) -> None:
        """A row of steps.csv."""
        self._add("steps", [f"{epochs_done:.6g}", f"{loss:.8g}", f"{learning_rate:.8g}"])

    def add_speed(self, epochs_done: float, samples_per_second: float) -> None:
        """A row of throughput.csv."""
        self._add("throughput", [f"{epochs_done:.6g}", f"{samples_per_second:.1f}"])

    def remove_throughput(self) -> None:
        """Removes throughput.csv, where nothing measures the speed."""
        self._files["throughput"].unlink(missing_ok=True)

    def _add(self, name: str, row: list[str]) -> None:
        if name in self.rows:
            self.rows[name].append(row)
        if self._writes:
            _write(self._files[name], "a", [row])


def _write(path: Path, mode: str, rows: Sequence[Sequence[str]]) -> None:
    with open(path, mode, encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
