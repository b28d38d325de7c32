"""Placeholder."""

from vad.regions.table import COLUMNS, PreprocessParams, check_sizes, review, whole_frames, write

__all__ = ["COLUMNS", "PreprocessParams", "check_sizes", "review", "whole_frames", "write"]
