"""The frame of every stage: parameters, plug-ins, the loop over clips, the closure of imports. Imports `store` alone."""
