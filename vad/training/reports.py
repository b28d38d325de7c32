"""Training reports: tables that `dvc plots` draws.

| file | a row per | columns |
|---|---|---|
| history.csv | epoch | fold, epoch, train_loss, val_loss, learning_rate |
| steps.csv | twentieth of an epoch | fold, epoch (finished epochs, with a fraction), loss, learning_rate |
| throughput.csv | twentieth of an epoch | fold, epoch, samples_per_second |

The first two are determined by parameters, data, code and machine. Speed differs from run to run, so
throughput.csv lies in another folder, which neither git nor DVC tracks.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

COLUMNS = {
    "history": ["fold", "epoch", "train_loss", "val_loss", "learning_rate"],
    "steps": ["fold", "epoch", "loss", "learning_rate"],
    "throughput": ["fold", "epoch", "samples_per_second"],
}


class Reports:
    """Writes the reports row by row.

    Args:
        folder: folder of history.csv and steps.csv.
        throughput: path of throughput.csv.
        fold: number of the fold, the first column.
        writes: whether this process writes; in a distributed run, only the first does.

    Attributes:
        rows: the rows of history.csv and steps.csv so far, without the fold, which checkpoints keep.
    """

    def __init__(self, folder: Path, throughput: Path, fold: int = 0, writes: bool = True):
        self._files = {"history": folder / "history.csv", "steps": folder / "steps.csv"}
        self._files["throughput"] = throughput
        self._fold, self._writes = str(fold), writes
        self.rows: dict[str, list[list[str]]] = {"history": [], "steps": []}

    def begin(self) -> None:
        """Rewrites all files, with the rows of the interrupted run if the training was resumed."""
        if self._writes:
            for name, path in self._files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, "w", [COLUMNS[name], *([self._fold, *row] for row in self.rows.get(name, []))])

    def add_epoch(self, epoch: int, train_loss: float, val_loss: float | None, learning_rate: float) -> None:
        """Adds a row to history.csv.

        Args:
            epoch: index of the epoch.
            train_loss: mean loss of the training windows.
            val_loss: mean loss of the validation windows; None leaves the column empty.
            learning_rate: learning rate at the start of the epoch.
        """
        val = "" if val_loss is None else f"{val_loss:.8g}"
        self._add("history", [str(epoch), f"{train_loss:.8g}", val, f"{learning_rate:.8g}"])

    def add_step(self, epochs_done: float, loss: float, learning_rate: float) -> None:
        """Adds a row to steps.csv.

        Args:
            epochs_done: number of finished epochs, with a fraction.
            loss: mean loss since the last row.
            learning_rate: present learning rate.
        """
        self._add("steps", [f"{epochs_done:.6g}", f"{loss:.8g}", f"{learning_rate:.8g}"])

    def add_speed(self, epochs_done: float, samples_per_second: float) -> None:
        """Adds a row to throughput.csv.

        Args:
            epochs_done: number of finished epochs, with a fraction.
            samples_per_second: training windows per second since the last row.
        """
        self._add("throughput", [f"{epochs_done:.6g}", f"{samples_per_second:.1f}"])

    def remove_throughput(self) -> None:
        """Removes throughput.csv, for trainings whose speed is not measured."""
        self._files["throughput"].unlink(missing_ok=True)

    def _add(self, name: str, row: list[str]) -> None:
        if name in self.rows:
            self.rows[name].append(row)
        if self._writes:
            _write(self._files[name], "a", [[self._fold, *row]])


def join(parts: Sequence[Path], whole: Path) -> None:
    """Joins the files that `Reports` wrote for several folds.

    Args:
        parts: paths of a file of each fold, which may be absent.
        whole: path of the file to write; absent if none of them is there.
    """
    texts = [part.read_text("utf-8").partition("\n") for part in parts if part.is_file()]
    whole.unlink(missing_ok=True)
    if texts:
        whole.write_text("\n".join([texts[0][0], "".join(rows for _, _, rows in texts)]), "utf-8")


def _write(path: Path, mode: str, rows: Sequence[Sequence[str]]) -> None:
    with open(path, mode, encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
