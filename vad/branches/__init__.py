"""Branches: the sources of error, one file each, and what writes their errors for a clip.

Imports `models`, `windows`, `flow`, `pipeline` and `store`.
"""
