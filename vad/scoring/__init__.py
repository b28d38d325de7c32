"""From errors to scores, thresholds and events: calibration on normal footage. Imports `branches.error_files`,
`windows.stride`, `pipeline` and `store`; neither torch nor any branch.
"""
