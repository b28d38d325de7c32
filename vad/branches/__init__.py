"""Branches: the sources of error, each in a file of its name, and the files of errors.

Exports nothing, so that reading `error_files` needs no torch. Imports `models`, `windows`, `flow`, `pipeline`
and `store`.
"""
