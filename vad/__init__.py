"""Video anomaly detection with autoencoders: the library behind the pipeline in dvc.yaml."""

import os

# Waiting threads of torch sleep instead of spinning: two jobs on the same machine would otherwise slow each
# other down several times. Torch reads this when it is loaded, so it is set before any module imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class UserError(Exception):
    """An error that the user can fix: bad input, a bad parameter, a missing file.

    The message is a single line: the file, clip, frame or key, the actual and the expected value, and what
    to do. Stages print it without a traceback and exit with status 2.
    """
