"""Footage as it lies on disk: the survey of ingest, masks, pictures; decoding and encoding of videos.

Hands on nothing, since the stages use different parts of it: ingest `survey` and what it imports, extract
`extract` and the decoder, evaluate the reader of CSV files. Imports `pipeline` and `store`.
"""
