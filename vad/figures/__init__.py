"""Figures for a thesis or paper: score curves, events, ROC, precision and recall, histogram, losses.

`results` reads what a run wrote, `clips` and `metrics` draw, `paper` sets sizes, fonts and formats, and
`__main__` is the command. Exports nothing; import its modules. Imports `store` and libraries for tables and
plots.
"""
