"""The command `python -m vad.synthetic`, which writes the synthetic sample."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from vad import UserError
from vad.synthetic import CLIPS, DURATION, generate

DESCRIPTION = f"""\
Draws a small data set for video anomaly detection: {len(CLIPS)} clips of two fixed cameras with walkers. The
test clips also show a runner, a cyclist, falls, an abandoned suitcase and a loose dog, with labels and exact
masks. The same options give the same frames.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raises the message as a UserError, so that it is printed without the usage."""
        raise UserError(f"{message}; see python -m vad.synthetic --help")


def main(argv: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: arguments; None for those of the process.

    Returns:
        Exit status: 0, or 2 after an error of the user.
    """
    parser = _Parser(
        prog="python -m vad.synthetic",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("data/sample"), help="folder to write (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of all random details (default: %(default)s)")
    add(
        "--frames",
        type=int,
        default=120,
        help=f"frames per clip (default: %(default)s); a clip always shows {DURATION} seconds",
    )
    add("--width", type=int, default=176, help="pixels, even (default: %(default)s)")
    add("--height", type=int, default=132, help="pixels, even (default: %(default)s)")
    add("--crf", type=int, default=23, help="0 best, 51 smallest video (default: %(default)s)")
    add("--force", action="store_true", help="replace an earlier sample in the folder")
    try:
        args = parser.parse_args(argv)
        labels = generate(**vars(args), progress=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    anomalous = sum(b - a for intervals in labels.values() for a, b in intervals)
    print(f"{args.out}: {len(CLIPS)} clips of {args.frames} frames, {anomalous} of them anomalous")
    return 0


if __name__ == "__main__":
    sys.exit(main())
