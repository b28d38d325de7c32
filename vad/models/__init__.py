"""The autoencoders, one file each. Imports `pipeline`, `store` and `windows`."""

from vad.models.base import (
    MODELS,
    Autoencoder,
    AutoencoderParams,
    ModelParams,
    UnusableModel,
    create,
    fingerprint,
    load,
    save,
    to_input,
)

__all__ = [
    "MODELS",
    "Autoencoder",
    "AutoencoderParams",
    "ModelParams",
    "UnusableModel",
    "create",
    "fingerprint",
    "load",
    "save",
    "to_input",
]
