"""From errors to scores, thresholds and events, calibrated on normal footage.

Frame by frame: `scorer` turns the errors of a frame into its scores, through `pooling` (`cells`,
`tracks`), `smoothing` (`filters`) and a `calibration`; `events` makes events of scores. These need no
pandas. Around them, for stages: `calibrate` fits a calibration, `scores` scores a clip, `normal_footage`
tells before anything is computed what footage can vouch for. Exports nothing; import its modules.
Imports `branches.error_files`, `windows.stride`, `stream`, `pipeline` and `store`; neither torch nor any
branch.
"""
