"""Video anomaly detection with autoencoders: the library behind the pipeline in dvc.yaml."""

import os

# Threads of torch that wait for each other sleep instead of spinning: two jobs on one machine otherwise
# slow each other down several times. Read once, when torch is loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class UserError(Exception):
    """Something the user can mend: bad input, a bad parameter, a missing file.

    The message is one line that names the file, clip, frame or key, says what was found and what was
    expected, and what to do. Stages print it without a traceback and exit with status 2.
    """
