"""Maps over elements that lie side by side: every thread moves 16 bytes of them at a time.

The elements that are left over at the end are taken one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jitgrad.codegen.cpu import INDENT, index, loaded, simple, stored
from jitgrad.codegen.loops import Address, Let, Load, Running, Statement, Store
from jitgrad.codegen.scalar import convert
from jitgrad.ir.types import DType, int64

BYTES, MOST = 16, 4  # of a load, and elements of it


def fits(body: Sequence[Statement]) -> bool:
    """Whether everything that the body touches lies side by side, or is one element."""
    moved = [s for s in body if isinstance(s, (Load, Store))]
    plain = all(isinstance(s, (Load, Store, Let, Running)) for s in body)
    beside = [s for s in moved if s.at.strides == ("1",)]
    return plain and bool(beside) and all(_is_simple(s.at) for s in moved)


def _is_simple(at: Address) -> bool:
    return at.strides in (("1",), (None,)) and at.offset is None and not at.steps


def lanes_of(body: Sequence[Statement]) -> int:
    """Elements that a thread takes at a time: 16 bytes of the widest, four at most."""
    moved = [s for s in body if isinstance(s, (Load, Store)) and s.at.strides == ("1",)]
    return min(MOST, BYTES // max(s.dtype.size for s in moved))


def loops(body: Sequence[Statement], name: str) -> list[str]:
    """The two loops, over wholes and over what is left; `name` is that of the index."""
    lanes = lanes_of(body)
    lines = [
        f"for at in range(cuda.grid(1), count // {lanes}, cuda.gridsize(1)):",
        f"{INDENT}{name} = at * {lanes}",
        *(INDENT + line for line in _whole(body, name, lanes)),
        f"for {name} in range(count // {lanes} * {lanes} + cuda.grid(1), count, cuda.gridsize(1)):",
        *(INDENT + simple(s) for s in body),
    ]
    return [INDENT + line for line in lines]


def _whole(body: Sequence[Statement], name: str, lanes: int) -> list[str]:
    """The lines for `lanes` elements: each value that differs among them has a name for each."""
    lines: list[str] = []
    many: set[str] = set()

    def of_lane(text: str, k: int) -> str:
        return re.sub(r"\b[a-z]+\d+\b", lambda m: f"{m[0]}_{k}" if m[0] in many else m[0], text)

    for s in body:
        if isinstance(s, Load) and s.at.strides == ("1",):
            many.add(s.name)
            each = [of_lane(s.name, k) for k in range(lanes)]
            read = f"load{lanes}_{in_memory(s.dtype)}({s.array}, {index(s.at)})"
            if loaded("", s.dtype):  # a conversion: first as it is in memory
                raw = [f"{name}_raw" for name in each]
                lines.append(f"{', '.join(raw)} = {read}")
                pairs = zip(each, raw, strict=True)
                lines += [f"{name} = {loaded(r, s.dtype)}" for name, r in pairs]
            else:
                lines.append(f"{', '.join(each)} = {read}")
        elif isinstance(s, Load):
            lines.append(simple(s))
        elif isinstance(s, Store):
            texts = [stored(of_lane(s.text, k), s.dtype) for k in range(lanes)]
            code = in_memory(s.dtype)
            lines.append(f"store{lanes}_{code}({s.array}, {index(s.at)}, {', '.join(texts)})")
        elif isinstance(s, Running):
            many.add(s.name)
            place = index(s.at)
            lines += [
                f"{of_lane(s.name, k)} = {convert(f'({place} + {k})', int64, s.dtype)}"
                for k in range(lanes)
            ]
        else:
            assert isinstance(s, Let)
            inside = set(re.findall(r"\b[a-z]+\d+\b", s.text))
            if inside & many:
                many.add(s.name)
                lines += [f"{of_lane(s.name, k)} = {of_lane(s.text, k)}" for k in range(lanes)]
            else:
                lines.append(simple(s))
    return lines


def in_memory(dtype: DType) -> str:
    """What an element is in memory."""
    return {"bool": "u8", "f16": "u16"}.get(dtype.code, dtype.code)
