"""Regions: the boxes in which to look for anomalies. A module per mode (none, silhouette, person_crop).

`base` has the base classes, `compute` the work function of the stage, `table` the files of regions, `checks`
the checks of frames and regions, `body_height` the fit of how tall people are. Imports `detection`, `flow`,
`boxes`, `pipeline`, `stream` and `store`.
"""

from vad.regions.base import REGION_MODES, PreprocessParams, RegionMode

__all__ = ["REGION_MODES", "PreprocessParams", "RegionMode"]
