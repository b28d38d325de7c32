"""Layouts: how data sets lie on disk, one file per layout, chosen by `data.format`.

`base` holds what all have in common, `tree` what is read of folders, `labels` reads labels.csv. They open no
clip. Imports `footage`, `pipeline` and `store`.
"""

from vad.layouts.base import LAYOUTS, DataParams, Layout, open_root

__all__ = ["LAYOUTS", "DataParams", "Layout", "open_root"]
