"""The scripts of all clips: which people and things cross the view, when, and which anomalies occur.

A clip always shows DURATION seconds, whatever its number of frames. Times are in seconds since its start.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

import numpy as np

from vad.synthetic.drawing import Camera
from vad.synthetic.people import FOREVER, Faller, Path, Person, dress
from vad.synthetic.scene import Actor
from vad.synthetic.things import BLACK, WHITE, Cyclist, Dog, Suitcase

DURATION = 9.6  # seconds
# Ranges of depth of the three lanes, in metres. Anomalies happen in the middle lane; walkers in the near lane
# are about as fast in pixels, so that speed in pixels does not give anomalies away.
NEAR, MIDDLE, FAR = (4.1, 4.6), (4.9, 5.6), (6.8, 9.0)


class Act(Protocol):
    """An anomaly. The first line of the docstring of an act appears in the README of the sample."""

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        """The actors of the act."""


@dataclass(frozen=True)
class Run:
    """Somebody in striped sportswear runs through."""

    enter: float  # time at which the runner starts, outside the view
    facing: int  # 1 to the right, -1 to the left

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        outfit = dress(rng)._replace(shirt=WHITE, stripes=BLACK, trousers=BLACK, coat=False)
        z = rng.uniform(5.0, 5.4)
        path = Path(camera.reach(z), z, self.facing, rng.uniform(2.5, 2.8), self.enter)
        return [Person(path, outfit, start=rng.uniform(0, 6), runs=True)]


@dataclass(frozen=True)
class Cycle:
    """Somebody cycles through."""

    enter: float  # time at which the cyclist starts, outside the view
    facing: int  # 1 to the right, -1 to the left

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        z = rng.uniform(5.1, 5.5)
        path = Path(camera.reach(z), z, self.facing, rng.uniform(2.1, 2.4), self.enter)
        return [Cyclist(path, dress(rng))]


@dataclass(frozen=True)
class Fall:
    """A walker falls, and gets up again or not."""

    enter: float  # time at which the walker starts, outside the view
    facing: int  # 1 to the right, -1 to the left
    falls: float  # time at which the walker begins to fall
    up: float = FOREVER  # time at which the walker stands upright again

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        z = rng.uniform(4.9, 5.1)
        path = Path(camera.reach(z), z, self.facing, 1.3, self.enter, pauses=((self.falls, self.up),))
        return [
            Faller(path, dress(rng)._replace(coat=False), rng.uniform(0, 6), falls=self.falls, up=self.up)
        ]


@dataclass(frozen=True)
class LeaveSuitcase:
    """Somebody tows a suitcase in and leaves it; somebody else tows it off."""

    enter: float  # time at which the first person starts, outside the view
    facing: int  # 1 to the right, -1 to the left
    leaves: float  # time at which the first person lets go of the suitcase
    taken: float  # time at which the second person takes it

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        z, reach = 5.0, camera.reach(5.0)
        first = Path(reach, z, self.facing, 1.5, self.enter, pauses=((self.leaves, self.leaves + 0.5),))
        # the second person takes the same path, timed to reach the handle at `taken`
        enter = self.taken - (self.leaves - self.enter)
        second = Path(reach, z, self.facing, 1.5, enter)
        suitcase = Suitcase(first, self.leaves, second, self.taken)
        return [
            suitcase,
            Person(first, dress(rng), tows=(-FOREVER, self.leaves)),
            Person(second, dress(rng), tows=(self.taken, FOREVER)),
        ]


@dataclass(frozen=True)
class LooseDog:
    """A spotted dog without anybody: trots in, stands barking, trots off."""

    enter: float  # time at which the dog starts, outside the view
    facing: int  # 1 to the right, -1 to the left
    barks: tuple[tuple[float, float], ...]  # (start, end) of each pause in which it stands and barks

    def cast(self, camera: Camera, rng: np.random.Generator) -> list[Actor]:
        z = rng.uniform(4.8, 5.0)
        return [Dog(Path(camera.reach(z), z, self.facing, 1.7, self.enter, pauses=self.barks))]


@dataclass(frozen=True)
class Script:
    """The script of a clip.

    Attributes:
        name: `<split>/<camera>/<clip>`.
        acts: the anomalies; none in a normal clip.
    """

    name: str
    acts: tuple[Act, ...] = ()

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return PurePosixPath(self.name).parts[1]


# Anomalies are early, in the middle or late, and occur once or twice, so that the time since the start of the
# clip predicts little. TINY is for tests.
TRAIN = tuple(Script(f"train/{camera}/walk{i}") for camera in ("hall", "yard") for i in range(1, 7))
TEST = (
    Script("test/hall/walk"),
    Script("test/hall/run", (Run(0.9, 1), Run(5.9, -1))),
    Script("test/hall/fall", (Fall(-0.5, 1, falls=1.9, up=6.2),)),
    Script("test/hall/suitcase", (LeaveSuitcase(1.6, -1, leaves=3.7, taken=5.6),)),
    Script("test/yard/walk"),
    Script("test/yard/cycle", (Cycle(0.3, -1), Cycle(4.6, 1))),
    Script("test/yard/dog", (LooseDog(0.6, 1, barks=((2.2, 4.2),)),)),
    Script("test/yard/fall", (Fall(4.0, -1, falls=5.9),)),
)
CLIPS = TRAIN + TEST
TINY = (TRAIN[0], TRAIN[1], TRAIN[6], TEST[1], TEST[2])


def cast(script: Script, camera: Camera, rng: np.random.Generator) -> list[Actor]:
    """Creates all actors of a clip.

    Each of three lanes has a walker most of the time. The actors of the script replace walkers of the middle
    lane, so that the number of people does not reveal anomalies.

    Args:
        script: of the clip.
        camera: whose view the actors cross.
        rng: random generator for details that the script does not specify.
    """
    acts = [actor for act in script.acts for actor in act.cast(camera, rng)]
    # a suitcase has no path; it is in view together with the people who tow it
    busy = [(actor.path.enter, actor.path.leave) for actor in acts if hasattr(actor, "path")]

    def is_replaced(path: Path) -> bool:
        """Whether an actor of the script is present during more than half of a walker's path."""
        shared = (min(path.leave, end) - max(path.enter, start) for start, end in busy)
        return any(s > (path.leave - path.enter) / 2 for s in shared)

    # the order of these calls decides which random numbers each lane gets, and so every frame
    middle = [w for w in _walkers(camera, rng, MIDDLE, gap=(0.9, 1.15)) if not is_replaced(w.path)]
    near, far = _walkers(camera, rng, NEAR, gap=(0.85, 1.05)), _walkers(camera, rng, FAR, gap=(0.75, 1.1))
    return [*near, *middle, *far, *acts]


def _walkers(
    camera: Camera, rng: np.random.Generator, depths: tuple[float, float], gap: tuple[float, float]
) -> list[Person]:
    """Creates the walkers of a lane.

    Args:
        camera: whose view they cross.
        rng: random generator.
        depths: range of their depth, in metres.
        gap: range of the time from a walker's start to the next walker's, in durations of the first path.
    """
    walkers, enter = [], None
    while enter is None or enter < DURATION:
        z, speed, facing = rng.uniform(*depths), rng.uniform(1.1, 1.75), int(rng.choice([-1, 1]))
        path = Path(camera.reach(z), z, facing, speed, 0.0, slope=rng.uniform(-0.04, 0.04))
        if enter is None:  # the first walker is already on the way when the clip starts
            enter = -rng.uniform(0.15, 0.85) * path.leave
        path = Path(path.reach, z, facing, speed, enter, path.slope)
        walkers.append(Person(path, dress(rng), start=rng.uniform(0, 2 * np.pi)))
        enter += rng.uniform(*gap) * (path.leave - path.enter)
    return walkers
