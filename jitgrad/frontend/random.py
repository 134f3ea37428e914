"""The state of the random ops: a key and a counter, in Parameters.

Random ops are counter-based: they read key and counter and write back the counter plus the number
of values drawn, through the ordinary reads and writes of Parameters. So a seed gives the same
numbers eagerly and compiled.
"""

from __future__ import annotations

import os
import threading
import weakref

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.primitives.random import make_key
from jitgrad.tensor import Parameter, Tensor

STREAMS: weakref.WeakSet[Generator] = weakref.WeakSet()  # all there are


class Generator:
    """A stream of random numbers: `key` and `counter`, 0-d uint64 Parameters that do not train.

    >>> Generator(1).key.shape
    ()
    """

    def __init__(self, seed: int = 0, name: str = "generator"):
        self._lock = threading.Lock()
        STREAMS.add(self)
        self.key = Parameter(np.uint64(0), name=f"{name}.key", requires_grad=False)
        self.counter = Parameter(np.uint64(0), name=f"{name}.counter", requires_grad=False)
        self.key._anywhere = self.counter._anywhere = True  # where the numbers are drawn
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of a seed from its beginning."""
        seed = checked_seed(seed)
        with self._lock:
            self._seed = seed
            self.key.set_data(np.uint64(make_key(seed)))
            self.counter.set_data(np.uint64(0))
        return self

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self._seed

    def seed(self) -> int:
        """Start the stream of a seed that the system draws; returns the seed.

        >>> stream = Generator(1)
        >>> stream.seed() == stream.initial_seed()
        True
        """
        return self.manual_seed(int.from_bytes(os.urandom(4), "little")).initial_seed()

    def get_state(self) -> Tensor:
        """Where the stream stands: its key and counter, uint64.

        >>> stream = Generator(1)
        >>> stream.set_state(stream.get_state())
        """
        return Tensor(np.stack([self.key.asnumpy(), self.counter.asnumpy()]))

    def set_state(self, state: Tensor) -> None:
        """Continue from a `get_state`; ArgumentError for another Tensor."""
        array = np.asarray(state.asnumpy())
        if array.shape != (2,) or array.dtype != np.uint64:
            raise fail(
                ArgumentError, f"a random state is two uint64, got {array.dtype}{array.shape}"
            )
        self.key.set_data(array[0])
        self.counter.set_data(array[1])


def checked_seed(seed: int) -> int:
    """A seed as an int; DTypeError for another type, ArgumentError if it is negative."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise fail(DTypeError, f"the seed must be an int, got {seed!r}")
    if seed < 0:
        raise fail(ArgumentError, f"the seed must not be negative, got {seed}")
    return int(seed)


# Made at once: Parameters that are made while a function is traced are part of the trace, and each
# call would draw the same numbers.
_default = Generator(0, "default_generator")


def default_generator() -> Generator:
    """The stream that random ops use unless they are given another."""
    return _default


class _Host:
    """NumPy's generator for what is drawn once on the host: the starting values of Parameters."""

    generator: np.random.Generator | None = None
    seed: int | None = None


def host_generator() -> np.random.Generator:
    """The NumPy generator of the initializers, seeded by `set_seed`."""
    if _Host.generator is None:
        _Host.generator = np.random.default_rng(0)
    return _Host.generator


def set_seed(seed: int) -> None:
    """Seed every random stream of the library, from the beginning.

    >>> ms.set_seed(3)
    >>> first = ops.rand(2)
    >>> ms.set_seed(3)
    >>> bool((ops.rand(2) == first).all())
    True
    """
    seed = checked_seed(seed)
    default_generator().manual_seed(seed)
    _Host.generator, _Host.seed = np.random.default_rng(seed), seed


def get_seed() -> int | None:
    """The seed given last, or None.

    >>> ms.set_seed(3)
    >>> ms.get_seed()
    3
    """
    return _Host.seed


def initial_seed() -> int:
    """The seed that the default stream started from.

    >>> generator = ms.manual_seed(5)
    >>> ms.initial_seed()
    5
    """
    return default_generator().initial_seed()


def get_rng_state() -> Tensor:
    """Where the default stream stands: its key and counter, uint64.

    >>> state = ms.get_rng_state()
    >>> first = ops.rand(2)
    >>> ms.set_rng_state(state)
    >>> bool((ops.rand(2) == first).all())
    True
    """
    return default_generator().get_state()


def set_rng_state(state: Tensor) -> None:
    """Continue the default stream from a `get_rng_state`; ArgumentError for another Tensor.

    >>> state = ms.get_rng_state()
    >>> first = ops.rand(2)
    >>> ms.set_rng_state(state)
    >>> bool((ops.rand(2) == first).all())
    True
    """
    default_generator().set_state(state)
