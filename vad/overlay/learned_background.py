"""The background behind people, learned only from pixels that are free of them."""

import cv2
import numpy as np

GRAY = 128  # where the background is not known
NEAR = 24  # levels of red, green or blue up to which a colour is nearly the same
FAST = 16  # levels by which the background follows the picture in a frame, until it is known
SLOW = 2  # levels in the time in which a pixel becomes known, from then on


class LearnedBackground:
    """A running median of each pixel over the frames in which it was free.

    Each frame moves the median by a step towards its picture (McFarlane and Schofield 1995,
    doi:10.1007/BF01215814), a small one where the background is known. So somebody whom the model misses and
    who walks through leaves no trace, and who keeps still appears within a minute or two.

    Args:
        height, width: of the pictures, in pixels.
        still: free frames of nearly the same colour after which a pixel counts as known, 1 to 255.

    Attributes:
        picture: the background, uint8 [H, W, 3]; GRAY where it is not known.
    """

    def __init__(self, height: int, width: int, still: int):
        self.still = still
        self.picture = np.full((height, width, 3), GRAY, np.uint8)
        self._median: np.ndarray = self.picture.copy()
        self._still = np.zeros((height, width), np.uint8)  # frames, up to `still`, and then for ever
        self._pictures = 0  # learned from
        self._seen = np.zeros((height, width), bool)  # whether the pixel has ever been free

    def learn(self, picture: np.ndarray, free: np.ndarray) -> None:
        """Learns from a picture.

        Args:
            picture: uint8 [H, W, 3].
            free: bool [H, W], the pixels without people.
        """
        new = free & ~self._seen
        self._median[new] = picture[new]
        self._seen |= free
        known = self.known
        near = _difference(picture, self._median) <= NEAR
        self._still[free & near & ~known] += 1
        slow = SLOW * (self._pictures + 1) // self.still - SLOW * self._pictures // self.still
        self._pictures += 1
        step = cv2.merge([np.where(known, slow, FAST).astype(np.uint8) * free] * 3)
        up, down = cv2.subtract(picture, self._median), cv2.subtract(self._median, picture)
        self._median = cv2.subtract(cv2.add(self._median, cv2.min(up, step)), cv2.min(down, step))
        self.picture = np.full_like(picture, GRAY)
        cv2.copyTo(self._median, self.known.astype(np.uint8), self.picture)

    @property
    def known(self) -> np.ndarray:
        """The pixels whose background is known, bool [H, W]."""
        return self._still == self.still

    def differs(self, picture: np.ndarray) -> np.ndarray:
        """Where a picture differs from what is known of the background, bool [H, W].

        Args:
            picture: uint8 [H, W, 3].
        """
        return (_difference(picture, self._median) > NEAR) & self.known


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The largest difference in red, green and blue, uint8 [H, W]."""
    red, green, blue = cv2.split(cv2.absdiff(a, b))
    return np.asarray(cv2.max(cv2.max(red, green), blue))
