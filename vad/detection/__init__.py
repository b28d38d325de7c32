"""Detection of people and things in frames: foreground, motion, blobs, object detectors, tracks.

Re-exports nothing, so that a region mode depends only on the modules that it uses. Imports `boxes`,
`pipeline`, `stream` and `store`.
"""
