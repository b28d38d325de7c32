"""Fits autoencoders to normal windows. Imports `models`, `windows`, `pipeline` and `store`.

Exports nothing; import its modules: `fit`, which the stage calls, and `params`, which needs no torch, so that
params.yaml is checked quickly.
"""
