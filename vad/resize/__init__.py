"""Cuts regions out of frames and resizes them: `channels` makes the planes of a frame, `cutter` the windows.

`cut` is the work function of the stage; it alone needs pandas. Imports `pipeline`, `store`, `stream`, `flow`
and `windows`; neither torch nor any model.
"""
