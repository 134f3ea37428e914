"""What became of the user's control flow while a function was traced, for `explain`."""

from __future__ import annotations

from dataclasses import dataclass

from jitgrad.frontend.trace import Traced
from jitgrad.ir.node import Node
from jitgrad.locate import Location, user_location
from jitgrad.state import state


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the report. kind: "branch", "loop", "unrolled" or "path"."""

    kind: str
    text: str
    where: Location | None


def note(kind: str, text: str) -> None:
    """Remember what became of the construct at the user's current line."""
    events = state.trace.events
    if not state.trace.trials:
        event = Event(kind, text, user_location())
        if event not in events:
            events.append(event)


def report(traced: Traced) -> str:
    """What became of control flow in a traced function: each construct with the user's line, and
    the conditions that this variant was made for.
    """
    lines: list[str] = []
    for event in traced.events:
        where = event.where
        lines.append(f"{where or '?'}: {event.kind}: {event.text}")
        if where is not None and where.source:
            lines.append(f"    {where.source}")
    if traced.conditions is not None:
        asked = zip(traced.conditions.outputs, traced.decided, strict=True)
        lines += [
            f"this variant holds while {_said(traced, node)} is {held}" for node, held in asked
        ]
    return "\n".join(lines) if lines else "no control flow depends on data"


def _said(traced: Traced, node: Node) -> str:
    assert traced.conditions is not None
    where = traced.conditions.locs.get(node)
    return f"the condition at {where}" if where is not None else "a condition"
