"""The files between stages: arrays with their cards, tables, the manifest, labels, masks; and downloads.

Imports nothing of vad but `UserError`, and may be imported by every other package. Arrays, cards and digests
are handed on here; tables (which load pandas), the manifest, intervals, masks and downloads are imported by
module.
"""

from vad.store.arrays import ArrayWriter, open_array, write_array
from vad.store.cards import read_card, read_json, write_json
from vad.store.digests import digest

__all__ = ["ArrayWriter", "digest", "open_array", "read_card", "read_json", "write_array", "write_json"]
