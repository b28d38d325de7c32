"""Footage on disk: the survey of ingest, masks, pictures; decoding and encoding of videos.

Re-exports nothing, because the stages use different parts: ingest uses `survey`, extract uses `extract` and
the decoder, evaluate the reader of CSV files. The decoder and what it imports need no pandas, for live use.
Imports `pipeline`, `store` and `stream`.
"""
