"""What became of the user's control flow while a function was traced, for `explain`."""

from __future__ import annotations

from dataclasses import dataclass

from jitgrad.locate import Location, user_location
from jitgrad.state import state


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the report. kind: "branch", "loop", "unrolled" or "path"."""

    kind: str
    text: str
    where: Location | None

    def __str__(self) -> str:
        return f"{self.where or 'somewhere'}: {self.kind}: {self.text}"


def note(kind: str, text: str) -> None:
    """Remember what became of the construct at the user's current line."""
    events = state.trace.events
    if not state.trace.trials:
        event = Event(kind, text, user_location())
        if event not in events:
            events.append(event)


def written(events: list[Event]) -> str:
    """The events as text, each with the user's line."""
    lines: list[str] = []
    for event in events:
        lines.append(str(event))
        if event.where and event.where.source:
            lines.append(f"    {event.where.source}")
    return "\n".join(lines)
