"""Opens ONNX graphs."""

from pathlib import Path
from typing import TYPE_CHECKING

from vad import UserError
from vad.store.placeholders import refuse_placeholder

if TYPE_CHECKING:
    import onnxruntime

QUIET = 4  # logs of fatal errors alone, since errors are raised


def open_graph(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    """Opens a graph on the processor.

    Args:
        path: the ONNX file.
        threads: maximum number of threads.

    Raises:
        UserError: if onnxruntime cannot open it.
    """
    import onnxruntime  # here, since the import is slow

    refuse_placeholder(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # waiting threads sleep: measured to be as fast on idle cores and much faster on busy cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = QUIET
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's exceptions have no common base
        raise UserError(
            f"{path}: not an ONNX model that onnxruntime {onnxruntime.__version__} can open "
            f"({first_line(e)}); copy or download it again, or export it anew"
        ) from None


def first_line(error: Exception) -> str:
    """The first line of an exception of onnxruntime, without the path that it repeats."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.rpartition("failed:")[2].strip()
