"""Cuts regions out of frames and resizes them: `channels` (what of a frame goes into a tensor) and `cut`.

Imports `pipeline`, `store`, `flow` and `windows`; neither torch nor any model.
"""
