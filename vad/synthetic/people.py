"""People: where they go, what they wear, how they move.

All times are seconds since the start of the clip, all lengths metres, all angles radians.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from vad.synthetic.drawing import ANOMALY, ORDINARY, Camera, Colour, Pen, lit

MARGIN = 0.75  # actors start and end this far outside the view
FOREVER = 1e6
TIP, RISE = 0.7, 1.4  # seconds a fall and getting up take


@dataclass(frozen=True)
class Path:
    """A straight way through the view at constant speed, with pauses."""

    reach: float  # largest |x| in view
    z: float
    facing: int  # 1 to the right, -1 to the left
    speed: float  # metres per second
    enter: float  # time at which the actor starts, MARGIN outside the view
    slope: float = 0.0  # change of depth per metre
    pauses: tuple[tuple[float, float], ...] = ()

    def distance(self, t: float) -> float:
        """Metres since `enter`."""
        waited = sum(np.clip(t, a, b) - a for a, b in self.pauses)
        return self.speed * (t - self.enter - waited)

    def x(self, t: float) -> float:
        """Metres to the right of the camera."""
        return self.facing * (self.distance(t) - self.reach - MARGIN)

    def depth(self, t: float) -> float:
        """Metres away from the camera."""
        return self.z + self.slope * (self.distance(t) - self.reach - MARGIN)

    def pace(self, t: float) -> float:
        """1 while moving, 0 while pausing, smoothly between."""
        return (self.distance(t + 0.2) - self.distance(t - 0.2)) / (0.4 * self.speed)

    @cached_property
    def leave(self) -> float:
        """Time at which the actor is MARGIN outside the view again."""
        t = self.enter + 2 * (self.reach + MARGIN) / self.speed
        for a, b in sorted(self.pauses):
            t += b - a if a < t else 0
        return t


class Outfit(NamedTuple):
    """Colours and build of a person."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    coat: bool = False
    stripes: Colour | None = None
    build: float = 1.0  # 1.0 is 1.75 m tall


SHIRTS: list[Colour] = [
    *[(150, 62, 58), (66, 96, 142), (92, 128, 88), (176, 150, 96), (122, 84, 128)],
    *[(196, 190, 180), (72, 74, 82), (176, 112, 72), (96, 140, 150), (140, 140, 146)],
]
TROUSERS: list[Colour] = [(52, 58, 78), (84, 74, 64), (44, 44, 48), (112, 108, 104), (70, 84, 106)]
SKINS: list[Colour] = [(226, 184, 154), (196, 148, 116), (142, 98, 72), (104, 72, 54)]
HAIRS: list[Colour] = [(46, 34, 28), (92, 62, 40), (150, 120, 76), (120, 116, 112), (24, 22, 24)]
SHOES: Colour = (38, 38, 38)


def dress(rng: np.random.Generator) -> Outfit:
    """Plain everyday clothes."""
    shirt, trousers, skin, hair = (p[rng.integers(len(p))] for p in (SHIRTS, TROUSERS, SKINS, HAIRS))
    shirt = lit(shirt, rng.uniform(0.85, 1.15))
    return Outfit(shirt, trousers, skin, hair, coat=rng.random() < 0.3, build=rng.uniform(0.93, 1.06))


class Pose(NamedTuple):
    """Angles of the joints. Hanging straight down is 0, forward is positive; knees bend backward."""

    thighs: tuple[float, float]
    knees: tuple[float, float]
    arms: tuple[float, float]
    elbows: tuple[float, float]
    lean: float = 0.0  # of the spine, forward
    tilt: float = 0.0  # of the whole body about the feet, forward
    hop: float = 0.0  # height of the lower foot above the ground


LYING = Pose(thighs=(0.5, -0.12), knees=(0.35, 0.3), arms=(2.2, 3.4), elbows=(0.3, 0.5), tilt=1.5)
CROUCH = Pose(thighs=(1.3, 0.5), knees=(1.7, 1.6), arms=(0.9, 0.6), elbows=(0.4, 0.3), lean=0.5, tilt=0.5)


def walking(phase: float, pace: float = 1.0) -> Pose:
    """Pose at a phase of the steps (a cycle of two steps is 2 pi) and a pace from 0, standing, to 1."""
    s, c = np.sin(phase), np.cos(phase)
    return Pose(
        thighs=(0.46 * s * pace, -0.46 * s * pace),
        knees=(0.08 + 0.75 * max(0, c) * pace, 0.08 + 0.75 * max(0, -c) * pace),
        arms=(-0.5 * s * pace, 0.5 * s * pace),
        elbows=(0.25, 0.25),
        lean=0.04,
    )


def running(phase: float) -> Pose:
    """Pose at a phase of the steps (a cycle of two steps is 2 pi)."""
    s, c = np.sin(phase), np.cos(phase)
    return Pose(
        thighs=(0.25 + 0.9 * s, 0.25 - 0.9 * s),
        knees=(0.3 + 1.4 * max(0, c), 0.3 + 1.4 * max(0, -c)),
        arms=(-1.1 * s, 1.1 * s),
        elbows=(1.5, 1.5),
        lean=0.22,
        hop=0.09 * abs(s),
    )


def blend(a: Pose, b: Pose, w: float) -> Pose:
    """A pose between two: w = 0 gives a, w = 1 gives b."""
    mixed = (np.asarray(p, float) * (1 - w) + np.asarray(q, float) * w for p, q in zip(a, b, strict=True))
    angles: list[Any] = [tuple(m) if m.ndim else float(m) for m in mixed]
    return Pose(*angles)


def draw_person(pen: Pen, pose: Pose, outfit: Outfit) -> None:
    """Draws a person from the side."""
    joints = _joints(pose)
    turn = np.array([[np.cos(pose.tilt), np.sin(pose.tilt)], [-np.sin(pose.tilt), np.cos(pose.tilt)]])
    joints = {name: turn @ p for name, p in joints.items()}
    # Upright, the lower foot is on the ground. Lying, the trunk is: a limb below it in the picture lies
    # on the ground too, nearer to the camera, which looks down a little.
    feet_down = 0.05 + pose.hop - min(p[1] for p in joints.values())
    trunk_down = 0.14 - min(joints[name][1] for name in ("hip", "shoulder", "head"))
    down = feet_down + np.sin(pose.tilt) ** 2 * (trunk_down - feet_down)
    shift = np.array([0.86 * np.sin(pose.tilt), down])
    joints = {name: (p + shift) * outfit.build for name, p in joints.items()}
    _draw_body(pen, joints, outfit)


def _joints(pose: Pose) -> dict[str, np.ndarray]:
    """Joints [2] as (u, v) relative to the hip; index 0 is the near side, 1 the far side."""
    joints = {"hip": np.zeros(2), "shoulder": 0.52 * _up(pose.lean), "head": 0.76 * _up(pose.lean * 0.9)}
    for i in (0, 1):
        knee = -0.43 * _up(-pose.thighs[i])
        shin = pose.thighs[i] - pose.knees[i]
        ankle = knee - 0.43 * _up(-shin)
        toe = ankle + 0.17 * np.array([np.cos(shin), np.sin(shin)])
        elbow = joints["shoulder"] - 0.29 * _up(-pose.arms[i])
        hand = elbow - 0.28 * _up(-pose.arms[i] - pose.elbows[i])
        joints |= {f"knee{i}": knee, f"ankle{i}": ankle, f"toe{i}": toe}
        joints |= {f"elbow{i}": elbow, f"hand{i}": hand}
    return joints


def _up(angle: float) -> np.ndarray:
    """Unit vector (u, v), turned forward from straight up."""
    return np.array([np.sin(angle), np.cos(angle)])


def _draw_body(pen: Pen, joints: dict[str, np.ndarray], outfit: Outfit) -> None:
    """Limbs far to near; everything on the far side is in shade."""
    k = outfit.build
    hip, shoulder, head = joints["hip"], joints["shoulder"], joints["head"]

    def leg(i: int, light: float) -> None:
        trousers = lit(outfit.trousers, light)
        pen.limb(joints[f"ankle{i}"], joints[f"toe{i}"], 0.05 * k, 0.04 * k, lit(SHOES, light))
        pen.limb(joints[f"knee{i}"], joints[f"ankle{i}"], 0.07 * k, 0.05 * k, trousers)
        pen.limb(hip, joints[f"knee{i}"], 0.105 * k, 0.072 * k, trousers)

    def arm(i: int, light: float) -> None:
        sleeve = lit(outfit.shirt, light)
        pen.disc(joints[f"hand{i}"], 0.05 * k, lit(outfit.skin, light))
        pen.limb(joints[f"elbow{i}"], joints[f"hand{i}"], 0.048 * k, 0.04 * k, sleeve)
        pen.limb(shoulder - 0.05 * (shoulder - hip), joints[f"elbow{i}"], 0.062 * k, 0.05 * k, sleeve)

    arm(1, 0.72)
    leg(1, 0.72)
    leg(0, 1.0)
    if outfit.coat:
        hem = (joints["knee0"] + joints["knee1"]) / 2
        pen.limb(hip, hip + 0.75 * (hem - hip), 0.15 * k, 0.18 * k, outfit.shirt)
    pen.limb(shoulder, shoulder + 0.6 * (head - shoulder), 0.055 * k, 0.05 * k, outfit.skin)
    spine = shoulder - hip
    pen.limb(hip, shoulder - 0.12 * spine, 0.135 * k, 0.155 * k, outfit.shirt)
    if outfit.stripes is not None:
        stripes(pen, hip, shoulder, (-0.05, 0.25, 0.55, 0.85), 0.15, outfit.stripes)
    up = (head - shoulder) / np.linalg.norm(head - shoulder)
    forward = np.array([up[1], -up[0]])
    pen.disc(head, 0.115 * k, outfit.hair)
    pen.limb(head + (0.03 * forward - 0.03 * up) * k, head + (0.04 * forward - 0.06 * up) * k,
             0.09 * k, 0.075 * k, outfit.skin)  # fmt: skip
    arm(0, 0.9)


def stripes(
    pen: Pen, hip: np.ndarray, shoulder: np.ndarray, at: tuple[float, ...], width: float, colour: Colour
) -> None:
    """Bands across the trunk; positions and width in lengths of the spine."""
    spine = shoulder - hip
    side = 0.14 * np.array([spine[1], -spine[0]]) / np.linalg.norm(spine)
    for a in at:
        low, high = hip + a * spine, hip + (a + width) * spine
        pen.polygon(np.stack([low - side, low + side, high + side, high - side]), colour)


@dataclass(frozen=True)
class Person:
    """Walks through the view; may run, may tow something for a while."""

    path: Path
    outfit: Outfit
    start: float = 0.0  # phase of the first step
    runs: bool = False
    tows: tuple[float, float] | None = None

    def depth(self, t: float) -> float:
        return self.path.depth(t)

    def shadow(self, t: float) -> tuple[float, float]:
        return self.path.x(t), 0.38

    def pose(self, t: float) -> Pose:
        """The pose at time t."""
        gone = 2 * np.pi * self.path.distance(t) / self.outfit.build
        if self.runs:
            return running(self.start + gone / 2.3)
        pose = walking(self.start + gone / 1.45, self.path.pace(t))
        if self.tows and self.tows[0] <= t < self.tows[1]:
            pose = pose._replace(arms=(-0.55, pose.arms[1]), elbows=(0.0, pose.elbows[1]))
        return pose

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        owner = ANOMALY if self.runs else ORDINARY
        pen = Pen(canvas, camera, self.path.x(t), self.depth(t), self.path.facing, owner)
        draw_person(pen, self.pose(t), self.outfit)


@dataclass(frozen=True)
class Faller(Person):
    """A walker who falls at `falls`, scattering papers; is up again at `up`, papers gathered.

    Anomalous from the moment the body tips until it stands upright.
    """

    falls: float = 0.0
    up: float = FOREVER

    def down(self, t: float) -> float:
        """0 upright, 1 lying."""
        tipping = np.clip((t - self.falls) / TIP, 0, 1) ** 2
        rising = np.clip((t - self.up + RISE) / RISE, 0, 1)
        return float(tipping * (1 - rising**2 * (3 - 2 * rising)))

    def shadow(self, t: float) -> tuple[float, float]:
        w = self.down(t)
        return self.path.x(t) + 0.8 * w * self.path.facing, 0.38 + 0.55 * w

    def pose(self, t: float) -> Pose:
        w = self.down(t)
        walk = super().pose(t)
        if t < self.up - RISE:
            return blend(walk, LYING, w)
        # up by way of a crouch: nobody rises like a plank
        return blend(CROUCH, LYING, 2 * w - 1) if w > 0.5 else blend(walk, CROUCH, 2 * w)

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        w = self.down(t)
        x, z, facing = self.path.x(t), self.depth(t), self.path.facing
        pen = Pen(canvas, camera, x, z, facing, ANOMALY if w > 0 else ORDINARY)
        if w > 0:
            self._draw_papers(pen, camera, x, z, w)
        draw_person(pen, self.pose(t), self.outfit)

    def _draw_papers(self, pen: Pen, camera: Camera, x: float, z: float, w: float) -> None:
        """Printed sheets that slide over the ground from the feet to where they come to lie."""
        rng = np.random.default_rng(int(1000 * self.falls))
        for i in range(9):
            u, v = -0.5 + 0.36 * i + rng.uniform(-0.1, 0.1), rng.uniform(-0.65, 0.35)
            angle = rng.uniform(0, np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            centre = np.array([x + self.path.facing * (0.2 + w * (u - 0.2)), z + w * v])

            def sheet(box: list[list[float]], colour: Colour, turn=turn, centre=centre) -> None:
                flat = centre + min(1, 4 * w) * np.array(box) @ turn.T
                world = np.stack([flat[:, 0], np.full(len(flat), 0.02), flat[:, 1]], axis=1)
                pen.on_ground(world, colour)

            sheet([[-0.17, -0.23], [0.17, -0.23], [0.17, 0.23], [-0.17, 0.23]], (240, 240, 236))
            for row in (-0.15, -0.01, 0.13):
                sheet([[-0.13, row], [0.13, row], [0.13, row + 0.07], [-0.13, row + 0.07]], (50, 52, 60))
