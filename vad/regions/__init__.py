"""Where to look: regions, boxes in frames; a file per mode. Imports `boxes`, `store`, `pipeline` and `flow`.

Modes: none, silhouette, person_crop. What they are made of: background (subtraction), motion and blobs (boxes
of what moves), detector and yolo (boxes of objects), tracking, class_scores. For all of them: table (the
files that they write) and checks (of what the stage gets and makes).
"""

from vad.regions.base import REGION_MODES, PreprocessParams, RegionMode
from vad.regions.table import COLUMNS, whole_frames, write

__all__ = ["COLUMNS", "REGION_MODES", "PreprocessParams", "RegionMode", "whole_frames", "write"]
