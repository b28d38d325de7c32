"""Regions: the boxes in which to look for anomalies. A module per mode (none, silhouette, person_crop).

`base` has the base class, `table` the files of regions, `checks` the checks of frames and regions. Imports
`detection`, `flow`, `boxes`, `pipeline` and `store`.
"""

from vad.regions.base import REGION_MODES, PreprocessParams, RegionMode
from vad.regions.table import COLUMNS, whole_frames, write

__all__ = ["COLUMNS", "REGION_MODES", "PreprocessParams", "RegionMode", "whole_frames", "write"]
