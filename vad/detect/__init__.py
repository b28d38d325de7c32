"""The command `vad detect`: scores sources by a model, and what it writes of them.

    Session -> ScoredFrame -> Privacy -> outputs      pictures reach an output only by way of the privacy

Imports `live` and the packages before it. Nothing here may load torch, pandas or matplotlib.
"""
