"""Sources of frames for a deployed model: files, folders, cameras and network streams.

`source` finds them, `files` reads files as the pipeline does, `stream` keeps the newest frame of a camera.
Imports `footage`, and none of the libraries for training and tables.
"""
