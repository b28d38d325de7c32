"""The command `vad`: uses a deployed model. No stage of the pipeline calls it.

Exit status: 0 success, 2 an error that the user can fix (a single line on stderr), 130 interrupted before all
files were scored, 141 nobody reads the output. Any other exception is a bug and keeps its traceback.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from vad import UserError

MODEL = Path("models/deployed")
EXAMPLES = """
  vad detect clip.mp4 --video scored.mp4
      a video: prints its events, and writes a copy with boxes, score and alarms drawn in
  vad detect new/ --csv scores.csv --jsonl events.jsonl
      a folder of videos: the score of every frame, and the events, as files
  vad detect rtsp://user:password@192.168.1.20/stream --snapshots alarms/ --privacy blur
      a camera, until Ctrl-C: prints events as they begin and end, keeps a picture of each, people blurred"""
PRIVACY = """hide people in every picture that is written: blur blurs them within their boxes, silhouette
leaves their outlines on the empty scene. People whom the model misses are not hidden (default: none)"""


class Parser(argparse.ArgumentParser):
    """Prints errors as a single line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Args:
        arguments: of the command line; by default those of the process.
    """
    parser = Parser(prog="vad", description="Video anomaly detection with a trained model.")
    parser.add_argument("--version", action="version", version=f"vad-pipeline {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_detect(commands)
    options = parser.parse_args(arguments)
    try:
        sys.exit(_detect(options))
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # who read the output has left, as `head` does
        sys.exit(141)


def _add_detect(commands: "argparse._SubParsersAction[Parser]") -> None:
    text = "score pictures, videos and cameras; print and keep events"
    # the commonest uses stand first, where argparse prints the usage
    parser = commands.add_parser("detect", help=text, description=text, usage=EXAMPLES)
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a picture, a video, a folder of either (a folder of pictures is a clip), the number of a "
        "camera of this computer, or an address (rtsp://, http://, …); several at once",
    )
    add("--model", type=Path, default=MODEL, metavar="DIR", help=f"the deployed model (default: {MODEL})")
    add(
        "--camera",
        action="append",
        default=[],
        metavar="NAME",
        help="name of the camera in training, whose body heights and zones apply; once, or once per source "
        "(default: that of the folder of a file, if a camera has that name)",
    )
    files = parser.add_argument_group("what is written")
    add = files.add_argument
    add("--csv", type=Path, metavar="FILE", help="the score of every frame")
    add("--jsonl", type=Path, metavar="FILE", help="events, a line of JSON each time one begins or ends")
    video = "the footage with boxes, score and alarms drawn in (MP4); a folder if there are several sources"
    add("--video", type=Path, metavar="FILE", help=video)
    add("--snapshots", type=Path, metavar="DIR", help="a picture of each event, at its highest score")
    add("--privacy", choices=("none", "blur", "silhouette"), default="none", help=PRIVACY)
    add("--overwrite", action="store_true", help="replace files that exist")
    how = parser.add_argument_group("how footage is read")
    add = how.add_argument
    add("--fps", type=float, metavar="N", help="score at most N frames per second of each source")
    add("--pictures", action="store_true", help="score each picture of a folder by itself")
    add("--realtime", action="store_true", help="play videos at their own pace, as cameras")
    add("--seconds", type=float, metavar="N", help="stop after N seconds of each camera")
    add(
        "--open-timeout",
        type=float,
        default=40.0,
        metavar="N",
        help="seconds that a camera may take to answer (default: 40)",
    )
    add("--quiet", action="store_true", help="no progress and no notes; events are still printed")


def _detect(options: argparse.Namespace) -> int:
    from vad.detect.command import Options, detect  # slow to import, and --help does without

    fields = {name: value for name, value in vars(options).items() if name != "command"}
    return detect(Options(**fields))


def _version() -> str:
    try:
        return version("vad-pipeline")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
