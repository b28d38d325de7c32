"""Layouts: how data sets lie on disk, one file per layout, chosen by `data.format`.

`base` holds what all have in common, `tree` what is read of folders. They open no clip, and may import the
rest of `footage`, `pipeline` and `store`.
"""

from vad.footage.layouts.base import LAYOUTS, DataParams, Layout, open_root

__all__ = ["LAYOUTS", "DataParams", "Layout", "open_root"]
