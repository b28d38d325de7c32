"""Branches: the sources of error, each in a file of its name, and the files of errors.

Exports nothing, so that reading `error_files` needs no torch, and processors (`measurement` and the branches)
neither pandas nor torch, which `window_errors` alone imports. Imports `models`, `windows`, `stream`,
`pipeline` and `store`.
"""
