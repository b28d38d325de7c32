"""What finds things in frames: foreground, blobs of motion, object detectors, tracks.

Hands on nothing, so that a region mode reaches only the parts that it uses. Imports `boxes`, `flow`,
`pipeline` and `store`.
"""
