"""The files between stages: arrays with their cards, tables, the manifest, labels, masks; and downloads.

Imports nothing from vad except `UserError`; every other package may import it. This module re-exports arrays,
cards and digests. Import the others by module: tables (which load pandas), manifest, intervals, bitmasks and
downloads.
"""

from vad.store.arrays import ArrayWriter, open_array, write_array
from vad.store.cards import read_card, read_json, write_json
from vad.store.digests import digest

__all__ = ["ArrayWriter", "digest", "open_array", "read_card", "read_json", "write_array", "write_json"]
