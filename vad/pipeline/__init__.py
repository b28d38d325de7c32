"""The framework of the stages: parameters, plug-ins, the loop over clips, import closures.

Imports only `store`.
"""
