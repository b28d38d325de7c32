"""Footage as it lies on disk: layouts, labels, masks, the survey of ingest; decoding and encoding.

Hands on nothing, since the stages use different parts of it: ingest `layouts`, `survey` and what they import,
extract `extract` and the decoder, evaluate the reader of CSV files. Imports `pipeline` and `store`.
"""
