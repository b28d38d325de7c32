"""Where to look: regions, boxes in frames; a file per mode (none, silhouette, person_crop).

For all of them: `base`, `table` (the files that they write) and `checks` (of what the stage gets and makes).
Imports `detection`, `flow`, `boxes`, `pipeline` and `store`.
"""

from vad.regions.base import REGION_MODES, PreprocessParams, RegionMode
from vad.regions.table import COLUMNS, whole_frames, write

__all__ = ["COLUMNS", "REGION_MODES", "PreprocessParams", "RegionMode", "whole_frames", "write"]
