"""Names of columns in the tables of errors."""

from collections.abc import Iterable
from typing import Protocol

PREFIX = "error_"  # of the columns of branches
BOX = ["x0", "y0", "x1", "y1"]  # columns, in pixels of the frame


class Table(Protocol):
    """A table of errors, such as a DataFrame of pandas."""

    @property
    def columns(self) -> Iterable[str]: ...


def branches_of(table: Table) -> list[str]:
    """The branches that have a column in a table of errors."""
    return [name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX)]
