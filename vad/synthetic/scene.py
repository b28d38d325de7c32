"""The two scenes with a fixed camera each, and how frames and masks of them are rendered."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from vad.synthetic.drawing import ANOMALY, NOBODY, ORDINARY, SS, Camera, Colour, Pen, fill, lit

WALL = 10.0  # depth of the wall, in metres
LONGEST = 2.5  # more than the extent of any actor from its position, in metres
NOISE = 2.0  # standard deviation of the sensor noise, in gray levels


class Actor(Protocol):
    """Anything that moves; `t` is in seconds since the start of the clip."""

    def depth(self, t: float) -> float:
        """Metres away from the camera."""

    def shadow(self, t: float) -> tuple[float, float]:
        """(x, half width) of the shadow on the ground, in metres."""

    def draw(self, canvas: np.ndarray, camera: Camera, t: float) -> None:
        """Draws the actor on a canvas."""


@dataclass(frozen=True)
class Scene:
    """Everything that does not move: the background, and furniture that can hide people.

    Attributes:
        camera: that films the scene.
        ground: the background, uint8 [H * SS, W * SS, 4], with the label NOBODY.
        props: (depth in metres, canvas) of each piece of furniture.
        sun: metres by which shadows fall to the right.
    """

    camera: Camera
    ground: np.ndarray
    props: list[tuple[float, np.ndarray]]
    sun: float

    def picture(self, actors: Iterable[Actor], t: float) -> tuple[np.ndarray, np.ndarray]:
        """Renders a frame, before changes of light and noise.

        Args:
            actors: of the clip.
            t: seconds since the start of the clip.

        Returns:
            (frame, uint8 [H, W, 3]; anomalous pixels, bool [H, W]).
        """
        size = (self.camera.width, self.camera.height)
        actors = self._near_view(actors, t)
        # shadows first, since they lie on the ground; labels are NOBODY, 0, so that shading keeps them
        canvas = cv2.multiply(self.ground, cv2.merge([self._shade(actors, t)] * 4), dtype=cv2.CV_8U)
        for thing in self._far_to_near(actors, t):
            if isinstance(thing, np.ndarray):
                cv2.copyTo(thing, thing[..., 3], canvas)
            else:
                thing.draw(canvas, self.camera, t)
        frame = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)[..., :3]
        return frame, self._at_least_half(canvas[..., 3] == ANOMALY)

    def visible(self, actors: Sequence[Actor], t: float) -> np.ndarray:
        """Finds the actor that each pixel shows.

        A pixel shows the actor that covers at least half of it. A pixel shared by two actors may show none.

        Args:
            actors: of the clip.
            t: seconds since the start of the clip.

        Returns:
            int32 [H, W]: position of the actor in `actors`, from 1; 0 for none.
        """
        numbers = {id(actor): i for i, actor in enumerate(actors, 1)}
        on_canvas = np.zeros(self.ground.shape[:2], np.int32)
        for thing in self._far_to_near(self._near_view(actors, t), t):
            if isinstance(thing, np.ndarray):
                on_canvas[thing[..., 3] != NOBODY] = 0
            else:
                canvas = self.camera.canvas()
                thing.draw(canvas, self.camera, t)
                on_canvas[canvas[..., 3] != NOBODY] = numbers[id(thing)]
        in_frame = np.zeros((self.camera.height, self.camera.width), np.int32)
        for number in np.unique(on_canvas[on_canvas > 0]):
            in_frame[self._at_least_half(on_canvas == number)] = number
        return in_frame

    def _near_view(self, actors: Iterable[Actor], t: float) -> list[Actor]:
        """The actors that may be visible at time t."""
        return [a for a in actors if abs(a.shadow(t)[0]) < self.camera.reach(a.depth(t)) + LONGEST]

    def _far_to_near(self, actors: Iterable[Actor], t: float) -> list[Actor | np.ndarray]:
        """Furniture and actors in the order of drawing, so that near things cover far things."""
        things: list[tuple[float, Actor | np.ndarray]] = [*self.props, *((a.depth(t), a) for a in actors)]
        return [thing for _, thing in sorted(things, key=lambda pair: -pair[0])]

    def _at_least_half(self, covered: np.ndarray) -> np.ndarray:
        """Reduces bool [H * SS, W * SS] to bool [H, W]: pixels of which at least half is covered."""
        size = (self.camera.width, self.camera.height)
        return cv2.resize(covered.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5

    def _shade(self, actors: Iterable[Actor], t: float) -> np.ndarray:
        """Share of light that remains in the soft shadows of actors, float32 [H * SS, W * SS], 0 to 1."""
        height, width = self.camera.height, self.camera.width
        dark: np.ndarray = np.zeros((height, width), np.float32)
        for actor in actors:
            (x, half), z = actor.shadow(t), actor.depth(t)
            half_pixels = (half + abs(self.sun) / 2) * self.camera.scale(z) / SS
            centre = self.camera.project([[x + self.sun / 2, 0, z]])[0] / SS
            # fixed-point coordinates with 4 fractional bits, hence the factor 16 and `shift`
            axes = (int(16 * half_pixels), int(16 * max(0.22 * half_pixels, 1)))
            cv2.ellipse(dark, np.round(centre * 16).astype(int).tolist(), axes, 0, 0, 360, 0.42, -1, shift=4)
        dark = cv2.GaussianBlur(dark, (0, 0), 0.014 * height)
        return 1 - cv2.resize(dark, (width * SS, height * SS), interpolation=cv2.INTER_LINEAR)


class Light:
    """Slow changes of brightness over time and across the frame, and sensor noise.

    Args:
        camera: of the frames.
        rng: random generator of the changes and the noise.
    """

    def __init__(self, camera: Camera, rng: np.random.Generator):
        self.rng = rng
        self.periods, self.phases = rng.uniform(7, 16, 2), rng.uniform(0, 2 * np.pi, 2)
        self.across = np.linspace(-1, 1, camera.width, dtype=np.float32)[None, :, None]

    def sensor(self, frame: np.ndarray, t: float) -> np.ndarray:
        """Adds light and noise to a frame.

        Args:
            frame: uint8 [H, W, 3].
            t: seconds since the start of the clip.

        Returns:
            uint8 [H, W, 3].
        """
        overall, sideways = np.sin(2 * np.pi * t / self.periods + self.phases)
        lit = frame * (1 + 0.05 * overall + 0.03 * sideways * self.across)
        # the same for the three colours, since the noise of cheap cameras is mostly in the brightness
        noise = self.rng.normal(0, NOISE, (*frame.shape[:2], 1))
        return np.clip(np.rint(lit + noise), 0, 255).astype(np.uint8)


def grain(shape: tuple[int, int], rng: np.random.Generator, strength: float) -> np.ndarray:
    """Smooth random texture at several scales, as a factor of brightness.

    Args:
        shape: (h, w) in pixels.
        rng: random generator.
        strength: of the deviations from 1.

    Returns:
        float32 [h, w, 1], around 1.
    """
    total = np.zeros(shape, np.float32)
    for cells, weight in ((6, 1.0), (18, 0.7), (54, 0.5)):
        coarse = rng.normal(0, weight, (cells, cells * 4 // 3)).astype(np.float32)
        total += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (1 + strength * total)[..., None]


class _Painter:
    """Paints the background of a scene: flat surfaces in world coordinates."""

    def __init__(self, camera: Camera, rng: np.random.Generator):
        self.camera, self.rng, self.canvas = camera, rng, camera.canvas()

    def quad(self, corners: list[tuple[float, float, float]], colour: Colour) -> None:
        fill(self.canvas, [self.camera.project(corners)], colour, ORDINARY)

    def wall(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, z: float = WALL) -> None:
        self.quad([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], colour)

    def floor(self, x0: float, z0: float, x1: float, z1: float, colour: Colour) -> None:
        self.quad([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)], colour)

    def tiles(self, side: float, colour: Colour, contrast: float) -> None:
        """Paints a floor of tiles whose brightness varies; `side` is in metres."""
        for z in np.arange(3.2, WALL, side):
            for x in np.arange(-8, 8, side):
                light = 1 + contrast * self.rng.normal()
                self.floor(x, z, x + side, min(z + side, WALL), lit(colour, light))

    def textured(self, strength: float) -> np.ndarray:
        """The painting with grain, uint8 [H * SS, W * SS, 4], with the label NOBODY."""
        picture = self.canvas * grain(self.canvas.shape[:2], self.rng, strength)
        picture[..., 3] = NOBODY
        return np.clip(picture, 0, 255).astype(np.uint8)


def _prop(camera: Camera, x: float, z: float, draw: Callable[[Pen], None]) -> tuple[float, np.ndarray]:
    """Draws a piece of furniture: (depth, canvas)."""
    pen = Pen(camera.canvas(), camera, x, z, 1, ORDINARY)
    draw(pen)
    return z, pen.canvas


def _box(pen: Pen, u0: float, v0: float, u1: float, v1: float, colour: Colour) -> None:
    pen.polygon(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]), colour)


def hall(camera: Camera, rng: np.random.Generator) -> Scene:
    """An entrance hall: tiled floor, door, windows, a bench, a pillar, a plant."""
    paint = _Painter(camera, rng)
    paint.wall(-9, 0, 9, 6, (172, 166, 150))
    paint.wall(-9, 0, 9, 1.0, (138, 128, 112))
    paint.tiles(0.8, (146, 138, 128), 0.03)
    paint.wall(-9, 0, 9, 0.15, (92, 84, 76))
    for x in (-5.2, -3.2):  # windows
        paint.wall(x, 1.3, x + 1.6, 3.1, (226, 226, 220))
        paint.wall(x + 0.1, 1.4, x + 0.76, 3.0, (186, 204, 216))
        paint.wall(x + 0.84, 1.4, x + 1.5, 3.0, (186, 204, 216))
    paint.wall(0.2, 0, 1.7, 2.35, (86, 72, 60))  # door
    paint.wall(0.3, 0, 1.6, 2.25, (122, 92, 66))
    paint.wall(0.92, 0, 0.98, 2.25, (86, 72, 60))
    paint.wall(2.9, 1.2, 4.3, 2.5, (96, 108, 116))  # notice board
    paint.wall(3.0, 1.3, 4.2, 2.4, (188, 176, 146))
    ground = paint.textured(0.022)

    def bench(pen: Pen) -> None:
        for u in (-0.9, 0.8):
            _box(pen, u, 0, u + 0.1, 0.45, (66, 58, 52))
        _box(pen, -1, 0.42, 1, 0.52, (132, 98, 64))
        _box(pen, -1, 0.68, 1, 0.88, (132, 98, 64))

    def pillar(pen: Pen) -> None:
        for i, light in enumerate((0.86, 0.98, 1.06, 1.0, 0.9)):
            u = -0.2 + 0.08 * i
            _box(pen, u, 0, u + 0.085, 4, lit((178, 172, 160), light))
        _box(pen, -0.25, 0, 0.25, 0.16, (120, 112, 102))

    def plant(pen: Pen) -> None:
        pen.polygon(np.array([[-0.2, 0], [0.2, 0], [0.27, 0.45], [-0.27, 0.45]]), (142, 84, 62))
        for angle in np.linspace(-1.25, 1.25, 9):
            tip = np.array([0.75 * np.sin(angle), 0.5 + 0.95 * np.cos(angle)])
            pen.limb(np.array([0, 0.42]), tip, 0.04, 0.075, (62, 98 + 26 * np.cos(5 * angle), 58))

    props = [
        _prop(camera, -1.0, 9.5, bench),
        _prop(camera, 2.35, 6.2, pillar),
        _prop(camera, -2.9, 6.3, plant),
    ]
    return Scene(camera, ground, props, sun=0.0)


def yard(camera: Camera, rng: np.random.Generator) -> Scene:
    """A yard: paving, a strip of grass, a brick wall with a gate, a tree, a bush."""
    paint = _Painter(camera, rng)
    paint.wall(-12, 0, 12, 8, (184, 200, 214))
    for y in np.arange(0, 2.7, 0.3):  # bricks, in courses
        for x in np.arange(-8 - (y % 0.6), 8, 0.9):
            light = 1 + 0.05 * rng.normal()
            paint.wall(x, y, x + 0.9, y + 0.3, lit((152, 108, 90), light))
    paint.wall(-12, 2.7, 12, 2.85, (126, 120, 112))
    paint.wall(1.2, 0, 2.9, 2.3, (70, 76, 78))  # gate
    paint.wall(1.3, 0, 2.8, 2.2, (88, 112, 104))
    paint.wall(2.02, 0, 2.08, 2.2, (70, 76, 78))
    paint.tiles(1.0, (166, 160, 148), 0.03)
    paint.floor(-12, 8.6, 12, WALL, (106, 134, 78))
    paint.floor(1.2, 8.6, 2.9, WALL, (158, 150, 138))
    ground = paint.textured(0.028)

    def tree(pen: Pen) -> None:
        pen.polygon(np.array([[-0.3, 0], [0.3, 0], [0.16, 0.6], [0.13, 4], [-0.13, 4], [-0.16, 0.6]]),
                    (96, 78, 62))  # fmt: skip
        pen.polygon(np.array([[0.02, 0], [0.3, 0], [0.16, 0.6], [0.13, 4], [0.03, 4]]), (78, 62, 50))

    def crown(pen: Pen) -> None:
        for _ in range(26):
            centre = np.array([rng.normal(0, 0.8), rng.normal(2.85, 0.28)])
            pen.disc(centre, rng.uniform(0.18, 0.34), (70 + rng.normal() * 9, 112 + rng.normal() * 12, 58))

    def bush(pen: Pen) -> None:
        for _ in range(30):
            centre = np.array([rng.normal(0, 0.42), abs(rng.normal(0.35, 0.22))])
            pen.disc(centre, rng.uniform(0.13, 0.24), (76 + rng.normal() * 8, 116 + rng.normal() * 12, 64))

    props = [
        _prop(camera, -2.35, 6.3, tree),
        _prop(camera, -2.35, 6.25, crown),
        _prop(camera, 3.9, 8.8, bush),
        _prop(camera, -0.6, 9.3, bush),
    ]
    return Scene(camera, ground, props, sun=0.5)


CAMERAS = {"hall": hall, "yard": yard}
