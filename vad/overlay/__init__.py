"""The overlay: scored frames as pictures, and what of people is left in them.

    ScoredFrame -> privacy -> overlay

The command `vad detect` and the report draw with it. Imports `scoring` and the packages before it. Nothing
here may load torch, pandas or matplotlib.
"""
