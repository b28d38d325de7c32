"""Scores against labels: metrics of frames, clips, events, pixels and regions; tables, plots, the summary.

Imports `scoring`, `drawing`, `branches.error_files`, `footage.csv_rows`, `pipeline`, `store` and
`boxes`. Exports nothing, since the stage `summarize` imports only `summary` and `alarm_summary` and
must not depend on the metrics.
"""
