"""`Batches`: arrays, or a stream of examples, in shuffled batches made in the background."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.tensor import Tensor

BUFFER = 1024  # examples of a stream among which the next is chosen


class Batches:
    """The batches of an epoch, each time it is iterated over: nests of Tensors.

    source      an array, or a tuple, list or dict of arrays whose first axes are the examples; or
                any iterable of examples (nests of arrays and numbers), or a function that returns
                one for each epoch.
    batch_size  examples in a batch; the last one may have fewer, unless `drop_remainder`.
    shuffle     a new order in each epoch, which `seed` and the number of the epoch decide. A stream
                is shuffled within a buffer of `buffer` examples.
    transform   a function of a batch of arrays, run in the background.
    prefetch    how many batches a thread keeps ready; 0 makes them when they are asked for.

    `epoch` is the number of the next epoch; set it to continue where another run has stopped.

    >>> batches = Batches((np.arange(5), np.ones((5, 2))), 2)
    >>> [x.tolist() for x, _ in batches], len(batches)
    ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        source: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        drop_remainder: bool = False,
        transform: Callable[[Any], Any] | None = None,
        prefetch: int = 2,
        buffer: int = BUFFER,
    ):
        for name, value, low in (
            ("batch_size", batch_size, 1), ("prefetch", prefetch, 0), ("buffer", buffer, 1)
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, int):
                raise fail(DTypeError, f"Batches: {name} must be an int, got {value!r}")
            if value < low:
                raise fail(ArgumentError, f"Batches: {name} must be at least {low}, got {value}")
        self.source, self.batch_size, self.shuffle, self.seed = source, batch_size, shuffle, seed
        self.drop_remainder, self.transform = drop_remainder, transform
        self.prefetch, self.buffer, self.epoch = prefetch, buffer, 0
        self.size = _length(source)

    def __len__(self) -> int:
        """Batches in an epoch; TypeError for a stream."""
        if self.size is None:
            raise TypeError("Batches of a stream have no length")
        whole, rest = divmod(self.size, self.batch_size)
        return whole + bool(rest and not self.drop_remainder)

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        rng = np.random.default_rng((self.seed, epoch))
        made = self._of_arrays(rng) if self.size is not None else self._of_stream(rng)
        return background(made, self.prefetch) if self.prefetch else made

    def _of_arrays(self, rng: np.random.Generator) -> Iterator[Any]:
        assert self.size is not None
        order = rng.permutation(self.size) if self.shuffle else np.arange(self.size)
        for number in range(len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self._finished(tree.map(lambda a, rows=rows: np.asarray(a)[rows], self.source))

    def _of_stream(self, rng: np.random.Generator) -> Iterator[Any]:
        examples = self.source() if callable(self.source) else self.source
        held: list[Any] = []
        for example in self._mixed(iter(examples), rng) if self.shuffle else examples:
            held.append(example)
            if len(held) == self.batch_size:
                yield self._finished(_stacked(held))
                held = []
        if held and not self.drop_remainder:
            yield self._finished(_stacked(held))

    def _mixed(self, examples: Iterator[Any], rng: np.random.Generator) -> Iterator[Any]:
        held: list[Any] = []
        for example in examples:
            if len(held) < self.buffer:
                held.append(example)
                continue
            place = rng.integers(self.buffer)
            yield held[place]
            held[place] = example
        for place in rng.permutation(len(held)):
            yield held[place]

    def _finished(self, batch: Any) -> Any:
        batch = batch if self.transform is None else self.transform(batch)
        return tree.map(lambda a: a if isinstance(a, Tensor) else Tensor(np.asarray(a)), batch)


def _length(source: Any) -> int | None:
    """How many examples the arrays of a nest have; None for a stream."""
    nest = isinstance(source, (tuple, list, Mapping, np.ndarray))
    leaves = tree.flatten(source)[0] if nest else []
    if not leaves or not all(isinstance(leaf, np.ndarray) and leaf.ndim for leaf in leaves):
        if not callable(source) and not isinstance(source, Iterable):
            kind = type(source).__name__
            raise fail(
                DTypeError,
                f"Batches of a {kind}",
                why="a source is arrays, an iterable of examples, or a function that makes one",
            )
        return None
    sizes = {len(leaf) for leaf in leaves}
    if len(sizes) > 1:
        shapes = [list(leaf.shape) for leaf in leaves]
        raise fail(
            ShapeError,
            f"Batches of arrays of shapes {shapes}",
            why="their first axes, the examples, have one extent",
        )
    return sizes.pop()


def _stacked(examples: Sequence[Any]) -> Any:
    return tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *examples)


class _End:
    """What a thread hands over at last: the error it met, or None."""

    def __init__(self, error: BaseException | None):
        self.error = error


def background(items: Iterable[Any], depth: int) -> Iterator[Any]:
    """The items, of which a thread keeps up to `depth` ready. An error in making them is raised
    where the item would have come; the thread ends with the iteration.
    """
    ready: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_End(None))
        except BaseException as error:
            put(_End(error))

    thread = threading.Thread(target=work, name="jitgrad-batches", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()
