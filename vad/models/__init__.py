"""The autoencoders, one file each. Imports `pipeline`, `store` and `windows`."""
