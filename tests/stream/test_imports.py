"""Live use needs none of the libraries for tables, statistics and training."""

import subprocess
import sys

from vad.flow import FLOW_METHODS

HEAVY = ("pandas", "pyarrow", "scipy", "sklearn", "supervision", "trackers", "torch")
MODULES = ["vad.stream", "vad.stream.gaps", "vad.footage.decode", "vad.footage.extract_params", "vad.flow"]


def test_processors_of_frames_and_flow_import_no_heavy_library():
    modules = [*MODULES, *map(FLOW_METHODS.module, FLOW_METHODS.names())]
    script = f"import sys; import {', '.join(modules)}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
