"""Passages: parts of normal clips in which stretches are altered, and how they are chosen."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np

from vad.store.digests import digest
from vad.store.manifest import Clip
from vad.stream import Frame
from vad.validation.alterations import KINDS
from vad.validation.footage import Footage
from vad.validation.overlay import Overlay
from vad.validation.params import ValidateParams

CONTEXT = 1.5  # seconds before and after a stretch that are not altered; about the reach of smoothing
TRIES = 20  # random starts in a clip, of which the passage with the most stretches is taken


@dataclass(frozen=True, eq=False)
class Stretch:
    """An altered stretch of a passage.

    Attributes:
        kind: of the alteration.
        start, end: frames of the clip, end exclusive.
        overlay: the alteration.
    """

    kind: str
    start: int
    end: int
    overlay: Overlay


@dataclass(frozen=True, eq=False)
class Passage:
    """A part of a clip with altered stretches. It is scored as if it were a clip.

    Attributes:
        clip: id of the clip.
        start, end: frames of the clip, end exclusive.
        stretches: the altered stretches, in order.
    """

    clip: str
    start: int
    end: int
    stretches: Sequence[Stretch]

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def hash(self) -> str:
        """Content hash."""
        stretches = []
        for stretch in self.stretches:
            overlay = asdict(stretch.overlay)
            values = [
                value.tolist() if isinstance(value, np.ndarray) else value for value in overlay.values()
            ]
            stretches.append((stretch.kind, stretch.start, stretch.end, values))
        return digest([self.clip, self.start, self.end, stretches])

    def picture(self, frames: np.ndarray, t: int) -> np.ndarray:
        """The pixels of frame t of the clip in the passage.

        Args:
            frames: of the clip, uint8 [T, H, W] or [T, H, W, 3].
            t: index of the frame in the clip.
        """
        for stretch in self.stretches:
            if stretch.start <= t < stretch.end:
                return stretch.overlay.paste(frames[t], frames, t - stretch.start)
        return frames[t]

    def shown(self, frames: Iterable[Frame], video: np.ndarray) -> Iterator[Frame]:
        """The frames of the passage.

        Args:
            frames: of the clip.
            video: the pixels of all of them, uint8 [T, H, W] or [T, H, W, 3].
        """
        for t, frame in enumerate(islice(frames, self.end)):
            if t >= self.start:
                yield frame._replace(pixels=self.picture(video, t))


def choose(
    clips: Sequence[Clip], footage: Callable[[str], Footage], params: ValidateParams
) -> tuple[list[Passage], float]:
    """Chooses passages of at most `params.seconds` in all, spread evenly over cameras, clips and kinds.

    Clips take turns, and each turn gives a passage that starts at another random frame.

    Args:
        clips: normal clips that were left out of training.
        footage: opens the footage of a clip by its id, only if it is needed.
        params: the section `validate`.

    Returns:
        (the passages, their duration in seconds); no passages if every clip is too short, or nothing moves.
    """
    counts: Counter[str] = Counter(dict.fromkeys(params.kinds, 0))
    passages: list[Passage] = []
    seconds, turn, remaining = 0.0, 0, _alternating(clips)
    while remaining:
        for clip in list(remaining):
            if params.seconds - seconds < params.stretch + 2 * CONTEXT:
                return passages, seconds
            of_clip = footage(clip.clip)
            limit = int((params.seconds - seconds) * of_clip.fps)
            rng = np.random.default_rng([params.seed, turn, int(digest(clip.clip), 16)])
            passage = compose(clip.clip, of_clip, counts, params.stretch, limit, rng)
            if passage is None:
                remaining.remove(clip)
                continue
            passages.append(passage)
            counts.update(stretch.kind for stretch in passage.stretches)
            seconds += len(passage) / of_clip.fps
        turn += 1
    return passages, seconds


def compose(
    clip: str,
    footage: Footage,
    counts: Mapping[str, int],
    seconds: float,
    limit: int,
    rng: np.random.Generator,
) -> Passage | None:
    """Makes a passage: stretches of different kinds, with CONTEXT seconds before, between and after them.

    Args:
        clip: id of the clip.
        footage: of the clip.
        counts: number of stretches so far by kind; the rarest kind that is possible comes first.
        seconds: duration of a stretch.
        limit: maximum number of frames of the passage.
        rng: random numbers.

    Returns:
        None if no stretch fits.
    """
    length = max(2, round(seconds * footage.fps))
    context = max(1, round(CONTEXT * footage.fps))
    number = min(len(counts), (min(len(footage), limit) - context) // (length + context))
    if number < 1:
        return None
    total = context + number * (length + context)
    best: list[Stretch] = []
    for _ in range(TRIES):
        start = int(rng.integers(len(footage) - total + 1))
        # equally rare kinds in random order, or each clip would always get the same
        kinds, stretches = sorted(rng.permutation(list(counts)).tolist(), key=lambda kind: counts[kind]), []
        for i in range(number):
            at = start + context + i * (length + context)
            tried = ((kind, KINDS[kind](footage, at, at + length, rng)) for kind in kinds)
            if fitting := next(((kind, overlay) for kind, overlay in tried if overlay is not None), None):
                kinds.remove(fitting[0])
                stretches.append(Stretch(fitting[0], at, at + length, fitting[1]))
        if len(stretches) > len(best):
            best = stretches
        if len(best) == number:
            break
    if not best:
        return None
    return Passage(clip, best[0].start - context, best[-1].end + context, best)


def _alternating(clips: Sequence[Clip]) -> list[Clip]:
    """The clips in an order in which cameras alternate."""
    taken: Counter[str] = Counter()
    ranked = []
    for clip in sorted(clips, key=lambda clip: clip.clip):
        ranked.append((taken[clip.camera], clip.camera, clip))
        taken[clip.camera] += 1
    return [clip for *_, clip in sorted(ranked, key=lambda entry: entry[:2])]
