"""Fits autoencoders to normal windows. Imports `models`, `windows`, `pipeline` and `store`.

Import from its modules: `fit` (what the stage calls), `params` (without torch, for checks of params.yaml).
"""
