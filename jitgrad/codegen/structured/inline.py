"""Loop nests of fused regions, written out where a loop's body needs them: no call, no table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jitgrad.codegen.cpu import statements
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.structured.writer import Elements, Memory, Writer

_SET = re.compile(r"^\s*(\w+) = |^\s*for (\w+) in ")
_WORD = re.compile(r"([A-Za-z_]\w*)(\[0\]|\[|)")


def write_nest(w: Writer, kernel: Kernel, values: Sequence[Memory | Elements]) -> None:
    """The lines of a kernel over all of its range; `values` are its arrays, or single numbers."""
    lines = statements(kernel.body, f"range({w.number(kernel.extent)})", w.indent)
    places = {a.name: m for a, m in zip(kernel.arrays, values, strict=True)}
    numbers = dict(zip(kernel.parameters, kernel.values, strict=True))
    names: dict[str, str] = {}
    for line in lines:
        found = _SET.match(line)
        name = found and (found[1] or found[2])
        if name and name not in names:
            names[name] = w.name(name.rstrip("0123456789"))

    def renamed(match: re.Match[str]) -> str:
        word, bracket = match[1], match[2]
        if bracket and word in places:
            at = places[word]
            if isinstance(at, Elements):
                return _stored(at)
            if bracket == "[0]":
                return at.at("")
            return f"{at.base}[{at.offset} + " if at.offset else f"{at.base}["
        if word in numbers and word not in names:
            names[word] = w.number(numbers[word])
        return names.get(word, word) + bracket

    w.lines += [_WORD.sub(renamed, line) for line in lines]


def _stored(number: Elements) -> str:
    """A number as memory would hold it: a flag is a byte."""
    (text,) = number.texts
    if number.type.dtype.kind != "b":
        return text
    return {"True": "1", "False": "0"}.get(text, f"to_u8({text})")
