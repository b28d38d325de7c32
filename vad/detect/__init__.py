"""The command `vad detect`: scores sources by a model, and what it writes of them.

    Session -> ScoredFrame -> privacy -> outputs      pictures reach an output only by way of the privacy

Imports `live`, `overlay` and the packages before them. Nothing here may load torch, pandas or matplotlib.
"""
