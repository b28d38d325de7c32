"""The deployed model: a folder with all that scoring needs, which runs without torch and without DVC.

`graph` writes the networks as ONNX, `folder` the files, `readme` the card for people. Reading it is
`vad.live.deployed_model`'s, so that a deployed model needs nothing of this package. Imports `live` and all
packages before it.
"""

from vad.export.folder import ModelParts, export

__all__ = ["ModelParts", "export"]
