"""Video anomaly detection with autoencoders: the library behind the pipeline in dvc.yaml."""


class UserError(Exception):
    """Something the user can mend: bad input, a bad parameter, a missing file.

    The message is one line that names the file, clip, frame or key, says what was found and what was
    expected, and what to do. Stages print it without a traceback and exit with status 2.
    """
