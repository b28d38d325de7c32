"""Footage on disk: the survey of ingest, masks, pictures; decoding and encoding of videos.

Re-exports nothing, because the stages use different parts: ingest uses `survey`, extract uses `extract` and
the decoder, evaluate the reader of CSV files. Imports `pipeline` and `store`.
"""
