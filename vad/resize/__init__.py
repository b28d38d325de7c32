"""Cuts regions out of frames and resizes them: `channels` makes the planes of a frame, `cut` the windows.

Imports `pipeline`, `store`, `flow` and `windows`; neither torch nor any model.
"""
