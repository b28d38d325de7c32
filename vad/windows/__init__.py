"""Windows, tensors of consecutive frames of a region: the contract between resize and train.

Re-exports nothing, because the stages use different modules: `spec` (frames and size of a window), `planes`
(names and values of planes), `stride` (every n-th frame), `arrays` (windows as arrays), `dataset` (reads the
tensors of a split), `stored_regions` (reads the regions of a clip). Imports `pipeline`, `store` and `stream`.
"""
