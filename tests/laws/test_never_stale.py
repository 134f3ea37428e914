"""The law of staleness: whatever changes between two calls, compiled and eager code answer alike.

Two equal worlds live side by side. In both, the same things are changed at random: Tensors and
Parameters, in place and replaced, attributes, containers, flags, which arguments are one Tensor.
After each change a function is called in both, eagerly in one, compiled in the other, in a random
way; answers and all that was written must agree.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from random import Random

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, autograd, nn, ops, tree


class Net(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.w = Parameter(Tensor([1.0, 2.0]), name="w")
        self.count = Parameter(Tensor(0.0), name="count", requires_grad=False)
        self.layer = nn.Dense(2, 2, weight_init="ones", bias_init="zeros")
        self.k, self.options, self.t = 2.0, {"s": 1.0}, Tensor([0.5, 0.5])

    def construct(self, x: Tensor) -> Tensor:
        self.count += 1
        y = (x * self.w * self.k * self.options["s"] + self.t).sum() * self.count
        return y + self.layer(x[None].astype(ms.float32)).sum() if self.training else y


class World:
    """What the functions read, and the functions."""

    def __init__(self) -> None:
        self.net, self.w, self.p = Net(), Tensor([1.0, -1.0]), Parameter(Tensor([3.0, 4.0]))
        self.k, self.space, self.seen = [2.0], types.SimpleNamespace(a=1.5), Tensor(1.5)
        self.xs = [Tensor([1.0, 2.0]), Tensor([3.0, -1.0])]
        self.functions: list[Callable] = [
            self.reads,
            self.assigns,
            self.writes,
            self.runs,
            self.looks,
        ]

    def reads(self, x: Tensor, y: Tensor) -> Tensor:
        return (x * self.w * self.k[0] + y * self.p).sum()

    def assigns(self, x: Tensor, y: Tensor) -> Tensor:
        ops.assign(self.p, self.p + x.sum())
        return (self.p * y).sum()

    def writes(self, x: Tensor, y: Tensor) -> Tensor:
        z = x * self.space.a
        z[0] = y[1]
        return z * self.w

    def runs(self, x: Tensor, y: Tensor) -> Tensor:
        return self.net(x) + y.sum()

    def looks(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.where(x > y, x, y * float(self.seen)).sum() + (self.w * self.p).sum()

    def state(self) -> list[Tensor]:
        return [self.w, self.p, self.net.w, self.net.count, self.net.t, *self.xs]


def put(owner: Callable[[World], object], key: object, value: Callable) -> Callable:
    """Change an attribute or an item to ``value(v)``, made anew in each world."""

    def change(world: World, v: float, i: int) -> None:
        place, at = owner(world), i if key is None else key
        if isinstance(at, str) and not isinstance(place, dict):
            setattr(place, at, value(v))
        else:
            place[at] = value(v)

    return change


def alias(world: World, v: float, i: int) -> None:
    world.xs[i] = world.xs[1 - i]


CHANGES: list[Callable[[World, float, int], object]] = [
    put(lambda world: world.w, None, lambda v: v),
    put(lambda world: world, "w", lambda v: Tensor([v, 1.0])),
    put(lambda world: world, "w", lambda v: Tensor(np.full(2, v, "f8" if v > 1 else "f4"))),
    put(lambda world: world, "p", lambda v: Parameter(Tensor([v, 1.0]))),
    put(lambda world: world.p, "requires_grad", lambda v: v > 1),
    put(lambda world: world.k, 0, lambda v: v),
    put(lambda world: world.space, "a", lambda v: v),
    put(lambda world: world.net, "k", lambda v: v),
    put(lambda world: world.net, "w", lambda v: Parameter(Tensor([v, v]), name="w")),
    put(lambda world: world.net, "t", lambda v: Tensor([v, v])),
    put(lambda world: world.net.options, "s", lambda v: v),
    put(lambda world: world.xs, None, lambda v: Tensor([v, -v])),
    alias,
    lambda world, v, i: world.p.set_data(Tensor([v, v])),
    lambda world, v, i: world.net.set_train(v > 1),
    lambda world, v, i: world.net.t.__iadd__(v),
    lambda world, v, i: world.xs[i].__imul__(v),
    lambda world, v, i: world.seen.__imul__(v),
]


# --- ways to call -------------------------------------------------------------------------------


def plainly(function: Callable, world: World, graph: bool) -> object:
    return function(*world.xs)


def without_tape(function: Callable, world: World, graph: bool) -> object:
    with autograd.no_grad():
        return function(*world.xs)


def on_tape(function: Callable, world: World, graph: bool) -> object:
    leaves = [Tensor(x, requires_grad=True) for x in world.xs]
    out = function(*leaves).sum()
    return autograd.grad(out, leaves, allow_unused=True) if out.requires_grad else out


def by_grad(function: Callable, world: World, graph: bool) -> object:
    """In graph mode in the compiled world."""
    ms.set_context(mode=ms.GRAPH_MODE if graph else ms.PYNATIVE_MODE)
    try:
        return ms.value_and_grad(function, (0, 1), [world.p, world.net.w])(*world.xs)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.mark.parametrize("seed", range(5))
def test_two_worlds_stay_alike(seed: int) -> None:
    r, eager, compiled = Random(seed), World(), World()
    functions = [ms.jit(f) for f in compiled.functions]
    story = []
    for _ in range(40):
        change, v, i = r.choice(CHANGES), r.choice((0.5, 1.0, 2.0)), r.randint(0, 1)
        change(eager, v, i)
        change(compiled, v, i)
        k, way = r.randrange(5), r.choice((plainly, plainly, without_tape, on_tape, by_grad))
        story.append((CHANGES.index(change), v, i, eager.functions[k].__name__, way.__name__))
        for _ in range(r.choice((1, 3))):  # the third is the short call
            wanted = tree.flatten(way(eager.functions[k], eager, False))[0]
            found = tree.flatten(way(functions[k], compiled, True))[0]
        for a, b in zip([*wanted, *eager.state()], [*found, *compiled.state()], strict=True):
            assert (a is None) == (b is None), story
            if a is not None:
                assert a._type is b._type, story
                np.testing.assert_allclose(b.asnumpy(), a.asnumpy(), 1e-4, 1e-4, err_msg=f"{story}")
