"""The frame of every stage: parameters, plug-ins, the loop over clips, closures. Imports `store` alone."""
