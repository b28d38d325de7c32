"""People: their paths, clothes and movements.

Times are in seconds since the start of the clip, lengths in metres, angles in radians.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from vad.synthetic.drawing import ANOMALY, ORDINARY, Camera, Colour, Pen, lit

MARGIN = 0.75  # distance outside the view at which actors start and end
FOREVER = 1e6  # a time after every clip
TIP, RISE = 0.7, 1.4  # duration of a fall and of getting up


@dataclass(frozen=True)
class Path:
    """A straight path through the view at constant speed, with pauses."""

    reach: float  # largest |x| in view
    z: float  # depth in the middle of the view
    facing: int  # 1 to the right, -1 to the left
    speed: float  # metres per second
    enter: float  # time at which the actor starts, MARGIN outside the view
    slope: float = 0.0  # change of depth per metre of the path
    pauses: tuple[tuple[float, float], ...] = ()  # (start, end) of each

    def distance(self, t: float) -> float:
        """Metres walked since `enter`."""
        waited = sum(np.clip(t, a, b) - a for a, b in self.pauses)
        return self.speed * (t - self.enter - waited)

    def x(self, t: float) -> float:
        """Metres to the right of the camera."""
        return self.facing * (self.distance(t) - self.reach - MARGIN)

    def depth(self, t: float) -> float:
        """Metres away from the camera."""
        return self.z + self.slope * (self.distance(t) - self.reach - MARGIN)

    def pace(self, t: float) -> float:
        """1 while moving, 0 during a pause, with smooth transitions."""
        return (self.distance(t + 0.2) - self.distance(t - 0.2)) / (0.4 * self.speed)

    @cached_property
    def leave(self) -> float:
        """Time at which the actor is MARGIN outside the view on the other side."""
        t = self.enter + 2 * (self.reach + MARGIN) / self.speed
        for start, end in sorted(self.pauses):
            t += end - start if start < t else 0
        return t


class Outfit(NamedTuple):
    """Clothes, colours and build of a person."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    coat: bool = False
    stripes: Colour | None = None
    build: float = 1.0  # factor of the body height of 1.75 m


SHIRTS: list[Colour] = [
    *[(150, 62, 58), (66, 96, 142), (92, 128, 88), (176, 150, 96), (122, 84, 128)],
    *[(196, 190, 180), (72, 74, 82), (176, 112, 72), (96, 140, 150), (140, 140, 146)],
]
TROUSERS: list[Colour] = [(52, 58, 78), (84, 74, 64), (44, 44, 48), (112, 108, 104), (70, 84, 106)]
SKINS: list[Colour] = [(226, 184, 154), (196, 148, 116), (142, 98, 72), (104, 72, 54)]
HAIRS: list[Colour] = [(46, 34, 28), (92, 62, 40), (150, 120, 76), (120, 116, 112), (24, 22, 24)]
SHOES: Colour = (38, 38, 38)


def dress(rng: np.random.Generator) -> Outfit:
    """Random plain everyday clothes."""
    shirt, trousers, skin, hair = (p[rng.integers(len(p))] for p in (SHIRTS, TROUSERS, SKINS, HAIRS))
    shirt = lit(shirt, rng.uniform(0.85, 1.15))
    return Outfit(shirt, trousers, skin, hair, coat=rng.random() < 0.3, build=rng.uniform(0.93, 1.06))


class Pose(NamedTuple):
    """Angles of the joints: 0 for hanging straight down, positive forward; knees bend backward.

    The first value of a pair is that of the near side, the second that of the far side.
    """

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
    """Pose of a walker.

    Args:
        phase: of the steps; 2 pi for a cycle of two steps.
        pace: 0 (standing) to 1 (walking).
    """
    s, c = np.sin(phase), np.cos(phase)
    return Pose(
        thighs=(0.46 * s * pace, -0.46 * s * pace),
        knees=(0.08 + 0.75 * max(0, c) * pace, 0.08 + 0.75 * max(0, -c) * pace),
        arms=(-0.5 * s * pace, 0.5 * s * pace),
        elbows=(0.25, 0.25),
        lean=0.04,
    )


def running(phase: float) -> Pose:
    """Pose of a runner at a phase of the steps; 2 pi for a cycle of two steps."""
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
    """Interpolates between two poses: w = 0 gives a, w = 1 gives b."""
    mixed = (np.asarray(p, float) * (1 - w) + np.asarray(q, float) * w for p, q in zip(a, b, strict=True))
    angles: list[Any] = [tuple(m) if m.ndim else float(m) for m in mixed]
    return Pose(*angles)


def draw_person(pen: Pen, pose: Pose, outfit: Outfit) -> None:
    """Draws a person from the side, standing or lying on the ground."""
    joints = _joints(pose)
    turn = np.array([[np.cos(pose.tilt), np.sin(pose.tilt)], [-np.sin(pose.tilt), np.cos(pose.tilt)]])
    joints = {name: turn @ p for name, p in joints.items()}
    # The body is shifted to the ground: by its lower foot when upright, by its trunk when lying, and by a
    # mixture of both in between. Limbs drawn below the trunk of a lying person look as if they lay on the
    # ground too, nearer to the camera, which looks down a little.
    feet_down = 0.05 + pose.hop - min(p[1] for p in joints.values())
    trunk_down = 0.14 - min(joints[name][1] for name in ("hip", "shoulder", "head"))
    down = feet_down + np.sin(pose.tilt) ** 2 * (trunk_down - feet_down)
    shift = np.array([0.86 * np.sin(pose.tilt), down])
    joints = {name: (p + shift) * outfit.build for name, p in joints.items()}
    _draw_body(pen, joints, outfit)


def _joints(pose: Pose) -> dict[str, np.ndarray]:
    """Joints as (u, v) relative to the hip; in their names, 0 is the near side and 1 the far side."""
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
    """Unit vector (u, v) that is turned forward by an angle from straight up."""
    return np.array([np.sin(angle), np.cos(angle)])


def _draw_body(pen: Pen, joints: dict[str, np.ndarray], outfit: Outfit) -> None:
    """Draws limbs and trunk from far to near; the far side is darker, as in shade."""
    k = outfit.build  # all thicknesses grow with the build
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
    """Draws stripes across the trunk.

    Args:
        pen: of the figure.
        hip: lower end of the spine, (u, v).
        shoulder: upper end of the spine, (u, v).
        at: positions of the lower edges, in lengths of the spine from the hip.
        width: of a stripe, in lengths of the spine.
        colour: of the stripes.
    """
    spine = shoulder - hip
    side = 0.14 * np.array([spine[1], -spine[0]]) / np.linalg.norm(spine)
    for position in at:
        low, high = hip + position * spine, hip + (position + width) * spine
        pen.polygon(np.stack([low - side, low + side, high + side, high - side]), colour)


@dataclass(frozen=True)
class Person:
    """A person who walks through the view, or runs, or tows something for some time."""

    path: Path
    outfit: Outfit
    start: float = 0.0  # phase of the first step
    runs: bool = False
    tows: tuple[float, float] | None = None  # time interval in which the near arm is held back to tow

    def depth(self, t: float) -> float:
        return self.path.depth(t)

    def shadow(self, t: float) -> tuple[float, float]:
        return self.path.x(t), 0.38

    def pose(self, t: float) -> Pose:
        """The pose at time t."""
        # a cycle of two steps covers 2.3 m running and 1.45 m walking, times the build
        angle = 2 * np.pi * self.path.distance(t) / self.outfit.build
        if self.runs:
            return running(self.start + angle / 2.3)
        pose = walking(self.start + angle / 1.45, self.path.pace(t))
        if self.tows and self.tows[0] <= t < self.tows[1]:
            pose = pose._replace(arms=(-0.55, pose.arms[1]), elbows=(0.0, pose.elbows[1]))
        return pose

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        label = ANOMALY if self.runs else ORDINARY
        pen = Pen(canvas, camera, self.path.x(t), self.depth(t), self.path.facing, label)
        draw_person(pen, self.pose(t), self.outfit)


@dataclass(frozen=True)
class Faller(Person):
    """A walker who falls and scatters papers, and may get up and gather them.

    Anomalous from the moment the body tips until it is upright again.
    """

    falls: float = 0.0  # time at which the fall begins
    up: float = FOREVER  # time at which the walker is upright again

    def down(self, t: float) -> float:
        """How far the body is down, from 0 (upright) to 1 (lying)."""
        tipping = np.clip((t - self.falls) / TIP, 0, 1) ** 2
        rising = np.clip((t - self.up + RISE) / RISE, 0, 1)
        return float(tipping * (1 - rising**2 * (3 - 2 * rising)))

    def shadow(self, t: float) -> tuple[float, float]:
        down = self.down(t)
        return self.path.x(t) + 0.8 * down * self.path.facing, 0.38 + 0.55 * down

    def pose(self, t: float) -> Pose:
        down = self.down(t)
        walk = super().pose(t)
        if t < self.up - RISE:
            return blend(walk, LYING, down)
        # people get up through a crouch, not as a straight body that rotates
        return blend(CROUCH, LYING, 2 * down - 1) if down > 0.5 else blend(walk, CROUCH, 2 * down)

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        down = self.down(t)
        x, z, facing = self.path.x(t), self.depth(t), self.path.facing
        pen = Pen(canvas, camera, x, z, facing, ANOMALY if down > 0 else ORDINARY)
        if down > 0:
            self._draw_papers(pen, camera, x, z, down)
        draw_person(pen, self.pose(t), self.outfit)

    def _draw_papers(self, pen: Pen, camera: Camera, x: float, z: float, down: float) -> None:
        """Draws printed sheets that slide over the ground from the feet as the person falls."""
        rng = np.random.default_rng(int(1000 * self.falls))  # the same sheets in every frame
        for i in range(9):
            u, v = -0.5 + 0.36 * i + rng.uniform(-0.1, 0.1), rng.uniform(-0.65, 0.35)
            angle = rng.uniform(0, np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            centre = np.array([x + self.path.facing * (0.2 + down * (u - 0.2)), z + down * v])

            def sheet(box: list[list[float]], colour: Colour, turn=turn, centre=centre) -> None:
                flat = centre + min(1, 4 * down) * np.array(box) @ turn.T
                world = np.stack([flat[:, 0], np.full(len(flat), 0.02), flat[:, 1]], axis=1)
                pen.on_ground(world, colour)

            sheet([[-0.17, -0.23], [0.17, -0.23], [0.17, 0.23], [-0.17, 0.23]], (240, 240, 236))
            for row in (-0.15, -0.01, 0.13):
                sheet([[-0.13, row], [0.13, row], [0.13, row + 0.07], [-0.13, row + 0.07]], (50, 52, 60))
