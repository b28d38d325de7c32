"""Windows, tensors of consecutive frames of a region: the contract between resize and train.

Import from its modules, since each stage needs others: `spec` (which frames, which size), `planes` (names and
values), `stride` (every n-th frame), `dataset` (reading what resize wrote). Imports `pipeline` and `store`.
"""
