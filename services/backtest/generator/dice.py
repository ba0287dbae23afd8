"""
Chance that is the same everywhere.

The raw stream of numpy's PCG64 is promised to stay as it is; the methods of `Generator`, and most of those of
`random.Random`, are not. So all chance is made from raw numbers by arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Floats = npt.NDArray[np.float64]


class Dice:
    """One stream of chance; equal seeds give equal streams."""

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(list(seed))

    def floats(self, *shape: int) -> Floats:
        """Return numbers from 0 up to, but without, 1."""
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), dtype=np.uint64)
        return ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)

    def chance(self, share: float) -> bool:
        """Return True in that share of calls."""
        return bool(self.floats(1)[0] < share)

    def between(self, low: float, high: float) -> float:
        """Return a number between two others."""
        return low + (high - low) * float(self.floats(1)[0])

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self.floats(1)[0] * (high - low + 1))

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of the options, all alike."""
        return options[self.whole(0, len(options) - 1)]

    def weighted(self, options: Mapping[T, float]) -> T:
        """Return one of the options by their shares, which add up to 1."""
        throw = float(self.floats(1)[0])
        for option, share in options.items():
            throw -= share
            if throw < 0:
                return option
        return list(options)[-1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in another order."""
        order = np.argsort(self.floats(len(items)), kind="stable")
        return [items[each] for each in order]
