"""Scores against labels: metrics of frames, clips, events, pixels and regions; tables, plots, the summary.

Imports `scoring`, `drawing.heatmaps`, `branches.error_files`, `footage.csv_rows`, `pipeline`, `store` and
`boxes`. Hands nothing on: the stage `summarize` imports the module `summary` alone and must not depend on the
metrics.
"""
