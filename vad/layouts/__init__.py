"""Layouts: how data sets are arranged on disk. A module per layout, chosen by `data.format`.

`base` has the base class, `tree` lists folders, `labels` reads labels.csv. Layouts list clips without opening
them. Imports `footage`, `pipeline` and `store`.
"""

from vad.layouts.base import LAYOUTS, DataParams, Layout, open_root

__all__ = ["LAYOUTS", "DataParams", "Layout", "open_root"]
