"""Anomalous actors: a cyclist, a dog and a suitcase, which are anomalies whenever they are in view."""

from dataclasses import dataclass

import numpy as np

from vad.synthetic.drawing import ANOMALY, Camera, Colour, Pen, lit, uv
from vad.synthetic.people import Outfit, Path, stripes

BLACK: Colour = (26, 26, 30)
WHITE: Colour = (238, 238, 234)


@dataclass(frozen=True)
class Cyclist:
    """A person who rides through the view on a bicycle with spoked wheels."""

    path: Path
    outfit: Outfit
    paint: Colour = (206, 196, 60)

    def depth(self, t: float) -> float:
        return self.path.depth(t)

    def shadow(self, t: float) -> tuple[float, float]:
        return self.path.x(t), 0.9

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        pen = Pen(canvas, camera, self.path.x(t), self.depth(t), self.path.facing, ANOMALY)
        roll, radius = self.path.distance(t) / 0.36, 0.36  # the wheels roll without slipping
        rear, front = uv(-0.55, radius), uv(0.55, radius)
        crank, saddle, bar = uv(-0.08, 0.3), uv(-0.25, 0.98), uv(0.36, 1.08)
        self._leg(pen, saddle, crank, -roll / 2 + np.pi, 0.72)
        for hub in (rear, front):
            for angle in -roll + np.arange(8) * np.pi / 4:
                rim = radius * uv(np.cos(angle), np.sin(angle))
                pen.limb(hub, hub + rim, 0.016, 0.016, WHITE)
            pen.disc(hub, radius, BLACK, hole=radius - 0.05)
            pen.disc(hub, radius - 0.05, WHITE, hole=radius - 0.085)
            pen.disc(hub, 0.05, BLACK)
        head = uv(0.38, 0.85)
        top, stay = saddle - uv(0, 0.15), saddle - uv(0, 0.2)
        tubes = ((rear, crank), (crank, head), (crank, top), (top, head), (rear, stay), (front, head))
        for a, b in (*tubes, (head, bar), (top, saddle)):
            pen.limb(a, b, 0.035, 0.035, self.paint)
        pen.limb(saddle - uv(0.1, 0.03), saddle + uv(0.12, -0.03), 0.05, 0.03, BLACK)
        self._leg(pen, saddle, crank, -roll / 2, 1.0)
        self._torso(pen, saddle, bar)

    def _leg(self, pen: Pen, hip: np.ndarray, crank: np.ndarray, angle: float, light: float) -> None:
        pedal = crank + 0.17 * uv(np.cos(angle), np.sin(angle))
        ankle = pedal + uv(-0.04, 0.07)
        # thigh and shin have the same length, so the knee is in front of the middle between hip and ankle
        middle, span = (hip + ankle) / 2, ankle - hip
        length = float(np.linalg.norm(span))
        knee = middle + np.sqrt(max(0.46**2 - length**2 / 4, 0)) * np.array([-span[1], span[0]]) / length
        colour = lit(self.outfit.trousers, light)
        pen.limb(ankle, ankle + uv(0.16, -0.03), 0.05, 0.04, lit(WHITE, light))
        pen.limb(knee, ankle, 0.07, 0.05, colour)
        pen.limb(hip, knee, 0.105, 0.075, colour)

    def _torso(self, pen: Pen, hip: np.ndarray, bar: np.ndarray) -> None:
        shoulder = hip + 0.55 * uv(0.62, 0.78)
        spine, head = shoulder - hip, shoulder + uv(0.13, 0.2)
        pen.limb(shoulder, head, 0.055, 0.05, self.outfit.skin)
        pen.limb(hip + 0.1 * spine, shoulder, 0.135, 0.15, self.outfit.shirt)
        stripes(pen, hip, shoulder, (0.05, 0.4, 0.75), 0.18, WHITE)
        pen.disc(head + uv(0.02, -0.02), 0.105, self.outfit.skin)
        dome = np.linspace(0, np.pi, 14)
        pen.polygon(head + 0.135 * np.stack([np.cos(dome), np.sin(dome)], axis=1), WHITE)
        elbow = (shoulder + bar) / 2 + uv(-0.02, -0.08)
        pen.limb(shoulder, elbow, 0.06, 0.05, self.outfit.shirt)
        pen.limb(elbow, bar, 0.046, 0.04, self.outfit.skin)


@dataclass(frozen=True)
class Dog:
    """A large spotted dog that trots, and barks during the pauses of its path."""

    path: Path

    def depth(self, t: float) -> float:
        return self.path.depth(t)

    def shadow(self, t: float) -> tuple[float, float]:
        return self.path.x(t), 0.6

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        pen = Pen(canvas, camera, self.path.x(t), self.depth(t), self.path.facing, ANOMALY)
        pace = self.path.pace(t)
        phase = 2 * np.pi * self.path.distance(t) / 0.95
        bark = (1 - pace) * max(0, np.sin(2 * np.pi * 1.6 * t))
        hips, chest = uv(-0.42, 0.62), uv(0.36, 0.66 + 0.03 * bark)
        for base, offset, light in ((hips, np.pi, 0.75), (chest, 0, 0.75), (hips, 0, 1), (chest, np.pi, 1)):
            swing = 0.5 * pace * np.sin(phase + offset)
            white = lit(WHITE, light)
            knee = base + 0.3 * uv(np.sin(swing), -np.cos(swing))
            bend = swing - 0.15 - 0.5 * pace * max(0, np.cos(phase + offset))
            paw = knee + 0.3 * uv(np.sin(bend), -np.cos(bend))
            pen.limb(base, knee, 0.1, 0.06, white)
            pen.limb(knee, paw, 0.055, 0.042, white)
            pen.disc(knee + uv(0, 0.1), 0.045, BLACK)
            pen.limb(paw, paw + uv(0.06, 0), 0.04, 0.035, BLACK)
        wag = 0.25 * np.sin(2 * np.pi * 2.2 * t)
        pen.limb(hips + uv(-0.1, 0.06), hips + uv(-0.42, 0.32 + wag), 0.045, 0.025, WHITE)
        pen.limb(hips, chest, 0.185, 0.215, WHITE)
        head = chest + uv(0.34, 0.32 + 0.06 * bark)
        pen.limb(chest + uv(0.08, 0.05), head, 0.15, 0.1, WHITE)
        pen.limb(head, head + uv(0.2, -0.03 + 0.05 * bark), 0.115, 0.065, WHITE)
        if bark > 0.2:  # the lower jaw
            pen.limb(head + uv(0.03, -0.07), head + uv(0.18, -0.1 - 0.05 * bark), 0.05, 0.035, (190, 90, 90))
        pen.disc(head + uv(0.24, 0.05 * bark), 0.04, BLACK)
        pen.disc(head + uv(0.06, 0.04), 0.025, BLACK)
        pen.limb(head + uv(-0.06, 0.06), head + uv(-0.12, -0.14), 0.055, 0.06, BLACK)
        for u, v, r in ((-0.48, 0.68, 0.07), (-0.32, 0.53, 0.06), (-0.24, 0.73, 0.075), (-0.08, 0.57, 0.065),
                        (0.02, 0.76, 0.075), (0.18, 0.58, 0.07), (0.3, 0.78, 0.065), (0.42, 0.6, 0.07),
                        (0.55, 0.84, 0.055)):  # fmt: skip
            pen.disc(uv(u, v), r, BLACK)


@dataclass(frozen=True)
class Suitcase:
    """A large chequered suitcase on wheels, which is towed into view, left standing, and then towed away."""

    first: Path  # of the person who brings it
    left: float  # time at which it is left standing
    second: Path  # of the person who takes it away
    taken: float  # time at which it is taken away

    BEHIND = 0.68  # metres behind the person who tows it

    def x(self, t: float) -> float:
        """Metres to the right of the camera."""
        if t >= self.taken:
            return self.second.x(t) - self.second.facing * self.BEHIND
        return self.first.x(min(t, self.left)) - self.first.facing * self.BEHIND

    def depth(self, t: float) -> float:
        return self.first.z

    def shadow(self, t: float) -> tuple[float, float]:
        return self.x(t), 0.45

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        towed = t < self.left or t >= self.taken
        facing = self.second.facing if t >= self.taken else self.first.facing
        pen = Pen(canvas, camera, self.x(t), self.depth(t), facing, ANOMALY)
        lean = np.array([[1, 0.14], [0, 1]]) if towed else np.eye(2)  # sheared towards the hand

        def box(u0: float, v0: float, u1: float, v1: float, colour: Colour) -> None:
            pen.polygon(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]) @ lean.T, colour)

        top = 1.12 if towed else 0.98
        for u in (0.1, 0.24):
            box(u, 0.8, u + 0.04, top, (60, 60, 66))
        box(0.08, top, 0.3, top + 0.05, BLACK)
        box(-0.37, 0.08, 0.37, 0.9, BLACK)
        for i in range(4):
            for j in range(4):
                if (i + j) % 2 == 0:
                    box(-0.33 + 0.165 * i, 0.12 + 0.185 * j, -0.165 + 0.165 * i, 0.305 + 0.185 * j, WHITE)
        for u in (-0.26, 0.26):
            pen.disc(uv(u, 0.06), 0.06, BLACK)
