"""From errors to scores, thresholds and events, calibrated on normal footage.

Exports nothing; import its modules: `calibrate` fits a calibration, `calibration` applies it, and `scores` is
called by the stage `score`. Imports `branches.error_files`, `windows.stride`, `pipeline` and `store`; neither
torch nor any branch.
"""
