"""Launches of special functions: SciPy's routines by address, element by element."""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.codegen.canonical import special
from jitgrad.codegen.launch import Launch, Library
from jitgrad.passes.plan import Step

WORK = 50  # elementary operations that a call is worth


def _called(routine: str) -> Callable[[Step], list[Launch]]:
    def rule(step: Step) -> list[Launch]:
        node = step.node
        assert node is not None
        text = special.called(len(node.inputs), node.dtype.code)
        pointers = (*step.reads, *step.writes, Library(routine))
        return [Launch(text, pointers, (), node.type.size, WORK * node.type.size)]

    return rule


def _written(text: Callable[[str], str]) -> Callable[[Step], list[Launch]]:
    def rule(step: Step) -> list[Launch]:
        node = step.node
        assert node is not None
        pointers = (*step.reads, *step.writes)
        return [Launch(text(node.dtype.code), pointers, (), node.type.size, WORK * node.type.size)]

    return rule


RULES: dict[str, Callable[[Step], list[Launch]]] = {
    **{f"bessel_{name}": _called(name) for name in ("i0", "i0e", "i1", "i1e", "j0", "j1", "y0")},
    **{f"bessel_{name}": _called(name) for name in ("y1", "k0", "k0e", "k1", "k1e")},
    **{name: _called(name) for name in ("betainc", "betaln", "dawsn", "erfcx", "exp1", "expi")},
    **{name: _called(name) for name in ("log_ndtr", "ndtri", "spence")},
    "igamma": _called("gammainc"),
    "igammac": _called("gammaincc"),
    "gcd": _written(special.gcd),
    "nextafter": _written(special.nextafter),
}
