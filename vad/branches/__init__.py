"""Branches: the sources of error, one file each, and what writes their errors for a clip.

Hands on nothing, so that whoever reads `error_files` needs no torch. Imports `models`, `windows`, `flow`,
`pipeline` and `store`.
"""
