"""In which order images are offered for labelling, and to which window: no image is offered in two at a time.

`random` takes them as they are drawn. `spread` and `doubt` look at a pool of images (see `active`), which is read in
the background; until enough of it is read, images are drawn. `docs/results/labelling.md` says what each is worth.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
import numpy.typing as npt

from semistylegan import active
from semistylegan.data.pictures import ImageArray, to_channels
from semistylegan.data.storage import ImageStore
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace

Choice = Literal["random", "spread", "doubt"]
Says = Callable[[Iterable[ImageArray]], Sequence[active.Floats] | active.Floats]
"""What an encoder says of images: N of width C. Each image is read when it is asked for: photographs are large."""
POOL = 2000
"""Images that are looked at."""
FIRST = 100
"""As soon as so many have been looked at, they count."""
CHUNK = 25
LEASE_SECONDS = 600.0
"""An image that a window was offered this long ago may be offered in another one."""


class Queue:
    """The images that nobody has labelled. Safe from several threads."""

    def __init__(
        self,
        store: ImageStore,
        done: Collection[int],
        choice: Choice = "random",
        space: FactorSpace | None = None,
        says: Says | None = None,
        seed: int = 0,
        begun: Collection[int] = (),
    ) -> None:
        """
        Args:
            store: the images.
            done: numbers of those that need no label any more.
            choice: how the next one is chosen; `doubt` needs `space` and `says`, those of a trained encoder.
            seed: fixes the order of what is drawn.
            begun: numbers of those of which something is known: they come last, as if they had been skipped.
        """
        assert choice != "doubt" or (space is not None and says is not None)
        self.store, self.choice, self.space, self.says = store, choice, space, says
        self.done, self.skipped = set(done), dict[int, None].fromkeys(begun)
        self._order: npt.NDArray[np.int64] = np.random.default_rng(seed).permutation(len(store))
        self._place = 0
        self._leases: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._rows: list[int] = []
        self._features: list[active.Floats] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to look at the pool, where the choice needs one."""
        if self.choice != "random":
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the looking."""
        self._closed = True
        if self._thread is not None:
            self._thread.join()

    def next(self, window: str, now: float | None = None) -> int | None:
        """The image for a window: the one that it was offered before, if nobody has labelled it, else another.

        Images that were skipped come again once there are no others, in the order in which they were skipped.

        Returns:
            its number, or None where no image is left.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            mine, _ = self._leases.get(window, (-1, 0.0))
            if mine < 0 or mine in self.done or mine in self.skipped:
                taken = {i for w, (i, since) in self._leases.items() if w != window and now - since < LEASE_SECONDS}
                found = self._choose(taken)
                if found is None:
                    self._leases.pop(window, None)
                    return None
                mine = found
            self._leases[window] = (mine, now)
            return mine

    def offer(self, window: str, image: int) -> None:
        """Gives a window this image, e.g. to undo its label."""
        with self._lock:
            self._leases[window] = (image, time.monotonic())

    def label(self, image: int, whole: bool) -> None:
        """Takes note that an image is labelled, or (`whole` False) that it is no more."""
        with self._lock:
            if whole:
                self.done.add(image)
                self.skipped.pop(image, None)
            else:
                self.done.discard(image)
                self._place = 0

    def skip(self, image: int, skipped: bool = True) -> None:
        """Puts an image behind all others, or back."""
        with self._lock:
            self.skipped.pop(image, None)
            if skipped:
                self.skipped[image] = None

    # -- choosing --------------------------------------------------------------------------------------------------

    def _choose(self, taken: set[int]) -> int | None:
        away = self.done | self.skipped.keys() | taken
        if (found := self._by_looks(away)) is not None:
            return found
        # Everything before `_place` is done: a pass over a large set must not begin anew for each image.
        while self._place < len(self._order) and int(self._order[self._place]) in self.done:
            self._place += 1
        drawn = (int(i) for i in self._order[self._place :])
        skipped = (i for i in self.skipped if i not in taken and i not in self.done)
        return next((i for i in drawn if i not in away), next(skipped, None))

    def _by_looks(self, away: set[int]) -> int | None:
        free = [k for k, i in enumerate(self._rows) if i not in away]
        if len(self._rows) < FIRST or not free:
            return None
        feature_ND = np.stack(self._features)
        place = np.array(free)
        if self.choice == "doubt":
            assert self.space is not None
            place = place[active.doubtful(active.doubt(feature_ND[place], self.space), 1)]
            feature_ND = active.reading(feature_ND, self.space)
        known = [k for k, i in enumerate(self._rows) if i in self.done]
        if not known:
            return self._rows[int(place[0])]
        near = active.nearest(feature_ND[place], feature_ND[known])
        return self._rows[int(place[near.argmax()])]

    def _look(self) -> None:
        """Looks at the pool, and at those labelled before; images that cannot be read, or are tiny, are left out."""
        labelled = [i for i in sorted(self.done) if i < len(self.store)][:POOL]
        drawn = [int(i) for i in self._order[:POOL]]
        pool = [*dict.fromkeys([*drawn[:FIRST], *labelled, *drawn])]
        for start in range(0, len(pool), CHUNK):
            if self._closed:
                return
            read: list[int] = []
            images = self._images(pool[start : start + CHUNK], read)
            features = self.says(images) if self.says else [active.look(image) for image in images]
            with self._lock:
                self._rows += read
                self._features += list(features)

    def _images(self, rows: list[int], read: list[int]) -> Iterator[ImageArray]:
        """One after the other; notes in `read` which they are."""
        for i in rows:
            if self._closed:
                return
            with suppress(UserError):
                image = to_channels(self.store.decode(i), 3)
                if min(image.shape[:2]) >= active.SIDE:
                    read.append(i)
                    yield image
