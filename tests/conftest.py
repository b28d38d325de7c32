"""Settings for all tests."""

import os

from hypothesis import settings

# tests run side by side, one per core: threads of torch would only be in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a busy machine is slow now and then, which says nothing about the code
settings.register_profile("vad", deadline=None)
settings.load_profile("vad")
