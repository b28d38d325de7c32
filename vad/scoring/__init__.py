"""From errors to scores, thresholds and events, calibrated on normal footage.

Import from its modules: `calibrate` fits what `calibration` applies, and `scores` is what the stage `score`
calls. Imports `branches.error_files`, `windows.stride`, `pipeline` and `store`; neither torch nor any branch.
"""
