"""Finished plans on disk: a graph that was planned before is neither optimized nor lowered again.

A plan is kept under a hash of all that decides it: the text of the graph, whose locations decide
nothing, what is written in place, the settings, and the text of those parts of this package that
plans are made by. What is kept is plain data, and only used if all of its kernels are there too.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad import config, journal
from jitgrad.ir.node import Graph, Node, input_node
from jitgrad.ir.text import print_graph
from jitgrad.runtime import cache, loader
from jitgrad.runtime.links import Symbol, Unlinked

MAKERS = "ir", "primitives", "passes", "runtime"  # what makes a plan, beside `codegen`
KERNEL = ("one kernel",)  # instead of what is written in place, where that is the question
LARGEST = 1 << 22  # bytes of constants; more are not kept


@functools.cache
def _version() -> bytes:
    """Of what makes plans; NumPy computes what is constant."""
    return f"{cache.own_version(*MAKERS)} {np.__version__}".encode()


def key_of(graph: Graph, updates: Sequence[Any]) -> str:
    """The name under which the plan of a graph is kept; "" where it shall be made anew: for those
    who watch how, and where nothing is compiled.
    """
    if not config.get("cache") or not config.get("jit"):
        return ""
    if config.get("verify") or config.get("dump") or config.get("debug") >= 2:
        return ""
    text = print_graph(graph, locations=False)
    return cache.name_of(
        b"plan", _version(), repr((config.code(), updates)).encode(), text.encode()
    )


def load(key: str) -> Unlinked | None:
    """The plan of that name, with its kernels loaded; None if it, or one of them, is not there."""
    body = cache.fetch(key)
    if body is None:
        return None
    found = decode(body)
    try:
        for name in {s.name for _, s in found.symbols if s.kind == "kernel"}:
            loader.kept(name)
    except KeyError:
        return None
    journal.say(f"a plan of {found.count} steps is from the disk cache")
    return found


def keep(key: str, plan: Unlinked) -> None:
    """Keep a plan."""
    if sum(c.nbytes for c in plan.constants) <= LARGEST:
        cache.keep(key, encode(plan))


@functools.lru_cache(maxsize=512)
def fits(region: Node) -> bool:
    """Whether a loop or branch can be one kernel. What was found out once is kept, too: the code
    generator is not asked again, and a trace that is not new does without it.
    """
    inputs = [input_node(f"a{i}", x.type) for i, x in enumerate(region.inputs)]
    key = key_of(Graph("region", inputs, [region.op(*inputs, **region.attrs)]), KERNEL)
    known = cache.fetch(key) if key else None
    if known is None:
        from jitgrad.codegen.structured import fits

        known = b"yes" if fits(region) else b"no"
        if key:
            cache.keep(key, known)
    return known == b"yes"


def encode(plan: Unlinked) -> bytes:
    """A plan as bytes: a line of JSON, then its constants."""
    symbols = list(dict.fromkeys(s for _, s in plan.symbols))
    numbers = {s: i for i, s in enumerate(symbols)}
    head = {
        "words": list(plan.words),
        "symbols": [(s.kind, s.name) for s in symbols],
        "places": [(at, numbers[s]) for at, s in plan.symbols],
        "facts": [plan.count, plan.most, plan.room, plan.heavy, plan.shared],
        "constants": [c.nbytes for c in plan.constants],
    }
    line = json.dumps(head, separators=(",", ":")).encode()
    return b"\n".join([line, b"".join(c.tobytes() for c in plan.constants)])


def decode(body: bytes) -> Unlinked:
    """The plan that was encoded."""
    line, _, rest = body.partition(b"\n")
    head = json.loads(line)
    symbols = [Symbol(*s) for s in head["symbols"]]
    count, most, (arena, local), heavy, shared = head["facts"]
    ends = [0, *itertools.accumulate(head["constants"])]
    flat = np.frombuffer(bytearray(rest), np.uint8)
    return Unlinked(
        head["words"],
        [(at, symbols[number]) for at, number in head["places"]],
        count,
        most,
        (arena, local),
        heavy,
        shared,
        [flat[first:last].copy() for first, last in itertools.pairwise(ends)],
    )
