"""The form of errors: names of columns in their tables, and the size of their maps."""

from collections.abc import Iterable, Sequence
from typing import Protocol

PREFIX = "error_"  # of the columns of branches


class Table(Protocol):
    """A table of errors, such as a DataFrame of pandas."""

    @property
    def columns(self) -> Iterable[str]: ...


def branches_of(table: Table) -> list[str]:
    """The branches that have a column in a table of errors.

    Args:
        table: with a column `error_<branch>` for each branch, in any order.
    """
    return [name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX)]


def map_shape(size: Sequence[int], cell: int) -> tuple[int, int]:
    """Rows and columns of a map; cells at the right and lower border may reach beyond the frame.

    Args:
        size: (height, width) of the frame in pixels.
        cell: pixels of the frame per cell, in each direction.
    """
    height, width = size
    return -(-height // cell), -(-width // cell)
