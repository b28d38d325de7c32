"""Settings for all tests."""

from hypothesis import settings

# a busy machine is slow now and then, which says nothing about the code
settings.register_profile("vad", deadline=None)
settings.load_profile("vad")
