"""Runs stages in a folder, in a copy of a process that has imported them all.

To start Python and to import torch, Lightning and libraries for tables takes longer than all stages of a tiny
project. So each process of the tests has a server that has imported them; for each call it forks.

    python -m tests.trained    the server: reads a line with a JSON object per call, answers with another
"""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import project as tiny
from tests import shared
from tests.live.configurations import CONFIGURATIONS, DETECTOR, choices
from tests.project import Project
from vad import synthetic
from vad.synthetic import clips as scripts

UP_TO_SCORE = tiny.STAGES[: tiny.STAGES.index("score") + 1]
LIMIT = 1800  # seconds that the stages of a call may take
# imported by functions of the stages
IMPORTED = ("lightning.pytorch", "scipy.stats", "sklearn.mixture", "matplotlib.pyplot")
_servers: list["subprocess.Popen[str]"] = []


def run_stages(folder: Path, stages: Sequence[str], heights: dict[str, Any] | None = None) -> str:
    """Runs stages in a folder with parameters and footage, one after another; returns what they print.

    Args:
        heights: body heights of cameras, which replace those of the stage `preprocess`.
    """
    if not _servers:
        command = [sys.executable, "-m", "tests.trained"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # it ends with this process, which closes its input
        _servers.append(subprocess.Popen(command, cwd=tiny.ROOT, env=tiny.environment(), text=True, **pipes))
    server = _servers[0]
    assert server.stdin is not None
    assert server.stdout is not None
    print(json.dumps([str(folder), list(stages), heights]), file=server.stdin, flush=True)
    status, output = json.loads(server.stdout.readline())
    assert status == 0, f"{stages}: exit status {status}\n{output}"
    return output


def trained(
    folder: Path, name: str, cameras: int = 1, folds: int = 1, heights: dict[str, Any] | None = None
) -> Project:
    """A tiny project with a configuration, in which all stages up to `score` have run.

    It has four training clips, each of which may be a fold. With three cameras, `yard` has one more training
    clip and `larger` a test clip, with frames of 96x72. `heights` replaces the body heights of the cameras.
    """

    def make(made: Path) -> None:
        project = tiny.copy(made / "project")
        tiny.generate(project / "data/tiny", tiny.CLIPS)
        if cameras > 1:
            more = (scripts.TRAIN[0], scripts.TEST[1])
            synthetic.generate(made / "larger", clips=more, frames=24, width=96, height=72)
            for split, camera in (("train", "yard"), ("test", "larger")):
                shutil.move(made / "larger" / split / "hall", project / "data/tiny" / split / camera)
        chosen = choices(name, project / DETECTOR)
        changes = {**CONFIGURATIONS[name][1], "data.folds": folds}
        project.set({**chosen, **tiny.TINY, "data.root": "data/tiny", **changes})
        run_stages(project.folder, UP_TO_SCORE, heights)

    key = f"{name}-{cameras}-{folds}-{'fitted' if heights is None else 'set'}"
    return Project(shared.copy(key, make, folder) / "project")


def serve() -> None:
    """Forks for each line of the standard input, and prints the exit status and the output of the copy."""
    for name in (*(f"stages.{stage}" for stage in tiny.STAGES), *IMPORTED):
        importlib.import_module(name)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            if (child := os.fork()) == 0:
                with open(os.devnull) as nothing:
                    os.dup2(nothing.fileno(), 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                signal.alarm(LIMIT)
                os._exit(_status(*json.loads(line)))
            _, status = os.waitpid(child, 0)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)


def _status(folder: str, stages: list[str], heights: dict[str, Any] | None) -> int:
    """Exit status of the stages."""
    import traceback

    from vad.pipeline import stage

    try:
        os.chdir(folder)
        for name in stages:
            run = stage.Run(name)
            importlib.import_module(f"stages.{name}").main(run)
            run.succeed()
            if name == "preprocess" and heights:
                Path("data/body_height.json").write_text(json.dumps(heights))
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()
