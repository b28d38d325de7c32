"""Boxes between the frames that a detector sees."""

import numpy as np
import pytest

from tests.detection.frames import items
from tests.detection.test_tracking import person
from vad.detection.detector import Detections
from vad.detection.interpolation import InterpolatedBoxes, interpolate
from vad.detection.yolo import Letterbox

SHARES = {steps: np.arange(1, steps) / steps for steps in range(1, 9)}


@pytest.mark.parametrize(("steps", "speed"), [(2, 3), (3, 6), (5, 6), (8, 1), (4, -5)])
def test_interpolated_boxes_move_with_the_walkers(steps, speed):
    def at(t: int) -> np.ndarray:
        """Two people with their confidence; the detector returns them in a different order each time."""
        both = np.array([[*person(100 + speed * t, 50), 0.4], [*person(300 - speed * t, 60), 0.8]])
        return both if t == 0 else both[::-1]

    got = interpolate(at(0), at(steps), SHARES[steps])
    assert len(got) == steps - 1
    for t, boxes in enumerate(got, 1):
        expected = at(0) + t * (at(steps)[::-1] - at(0)) / steps
        np.testing.assert_allclose(boxes[boxes[:, 4].argsort()], expected)


def test_an_unpaired_box_stays_for_half_of_the_frames():
    came, went = np.array([[*person(10, 10), 0.5]]), np.array([[*person(200, 10), 0.6]])
    got = interpolate(came, went, SHARES[4])
    assert [boxes.tolist() for boxes in got] == [came.tolist(), went.tolist(), went.tolist()]
    nobody = np.zeros((0, 5))
    assert [len(boxes) for boxes in interpolate(came, nobody, SHARES[4])] == [1, 0, 0]
    assert [len(boxes) for boxes in interpolate(nobody, came, SHARES[5])] == [0, 0, 1, 1]
    assert [boxes.shape for boxes in interpolate(nobody, nobody, SHARES[3])] == [(0, 5), (0, 5)]
    assert interpolate(came, went, SHARES[1]) == []


class Recorder:
    """In place of a detector: the box of a frame with the gray level v is `person(v, 50)`."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def detect(self, frames: list[np.ndarray]) -> list[Detections]:
        self.calls.append([int(frame[0, 0]) for frame in frames])
        one = np.ones(1, np.float32)
        return [
            Detections(
                np.array([person(x, 50)], np.float32), one, one, one[None], None, Letterbox(1, 1, 0, 0)
            )
            for x in self.calls[-1]
        ]


def levels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None]


@pytest.mark.parametrize("every_n", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 10, 21])
def test_every_nth_frame_and_the_last_are_detected(every_n, batch, length):
    """A walker at a steady 2 px per frame is where they are, also between the frames that are detected."""
    detector = Recorder()
    processor = InterpolatedBoxes(detector, every_n, batch)  # type: ignore[arg-type]
    got = []
    for t, item in enumerate(items(levels(*range(0, 2 * length, 2)))):
        got += processor.process(item)
        detected = t // every_n + 1
        assert len(got) == max(0, (detected // batch * batch - 1) * every_n + 1)
        if batch == 1:
            assert len(got) > t - processor.lookahead
    got += processor.finish()
    assert np.allclose([boxes[0, 0] for boxes, _ in got], np.arange(0, 2 * length, 2))
    assert np.allclose(
        [latest.boxes[0, 0] for _, latest in got[:-1]],
        [2 * (t // every_n * every_n) for t in range(length - 1)],
    )
    seen = sorted({*range(0, length, every_n), length - 1} - {-1})
    assert [x for call in detector.calls for x in call] == [2 * t for t in seen]
    assert all(len(call) <= batch for call in detector.calls)


def test_interpolation_follows_the_time_where_frames_are_missing():
    processor = InterpolatedBoxes(Recorder(), 3)  # type: ignore[arg-type]
    frames = items(levels(0, 0, 0, 8))
    steps = (1, 1, 2, 1)  # the frame after the second is missing
    got = [
        boxes
        for frame, n in zip(frames, steps, strict=True)
        for boxes, _ in processor.process(frame._replace(steps=n))
    ]
    assert [boxes[0, 0] for boxes in got] == [0, 2, 6, 8]
