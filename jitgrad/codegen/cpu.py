"""The CPU frame: a kernel as one Numba function under the uniform signature.

    kernel(ptrs, dims, lo, hi)

`ptrs` is a table of addresses, `dims` the kernel's integer parameters, and [lo, hi) the part of
the outermost loop to run. The same text runs un-jitted, with flat arrays in the place of `ptrs`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from jitgrad.codegen.loops import (
    Address,
    Blocks,
    For,
    Kernel,
    Let,
    Load,
    Running,
    Statement,
)
from jitgrad.codegen.scalar import convert
from jitgrad.ir.types import DType, float16, int64

INDENT = "    "


@functools.lru_cache(maxsize=512)
def source(kernel: Kernel) -> str:
    """The kernel's text. Two kernels with one text are one kernel."""
    lines = statements(kernel.body, "range(lo, hi)", INDENT)
    text = "\n".join(lines)
    head = [f"{a.name} = {a.dtype.code}_ptr(ptrs, {i})" for i, a in enumerate(kernel.arrays)]
    used = set(re.findall(r"\w+", text))
    head += [f"{p} = dims[{i}]" for i, p in enumerate(kernel.parameters) if p in used]
    return "\n".join(["def kernel(ptrs, dims, lo, hi):", *(INDENT + h for h in head), text, ""])


def statements(body: Sequence[Statement], part: str, indent: str, split: str = "") -> list[str]:
    """The lines of a statement list. `part` is the range of the loop that the caller splits, and
    `split`, inside blocks, that of dimension 0.
    """
    lines: list[str] = []
    for s in body:
        if isinstance(s, Blocks):
            lines.append(f"{indent}for c in {part}:")
            lines.append(f"{indent}{INDENT}start = c * block")
            lines.append(f"{indent}{INDENT}stop = start + block if start + block < n0 else n0")
            lines += statements(s.body, part, indent + INDENT, "range(start, stop)")
        elif isinstance(s, For):
            lines += _head(s, part if s.part else split if split and s.dim == 0 else "", indent)
            lines += statements(s.body, part, indent + INDENT, split)
        else:
            lines.append(indent + simple(s))
    return lines or [f"{indent}pass"]


def _head(loop: For, span: str, indent: str) -> list[str]:
    """The lines that begin a loop, over a span or all of its dimension."""
    i, n = f"i{loop.dim}", f"n{loop.dim}"
    if loop.taken > 1:
        rounds = f"{indent}for q{loop.dim} in range({n} // {loop.taken}):"
        return [rounds, f"{indent}{INDENT}{i} = q{loop.dim} * {loop.taken}"]
    if loop.after > 1:
        span = f"range({n} // {loop.after} * {loop.after}, {n})"
    return [f"{indent}for {i} in {span or f'range({n})'}:"]


def simple(s: Statement) -> str:
    """The line of a statement that is no loop."""
    assert not isinstance(s, (For, Blocks))
    if isinstance(s, Let):
        return f"{s.name} = {s.text}"
    if isinstance(s, Running):
        return f"{s.name} = {convert(index(s.at), int64, s.dtype)}"
    if isinstance(s, Load):
        return f"{s.name} = {loaded(f'{s.array}[{index(s.at)}]', s.dtype)}"
    return f"{s.array}[{index(s.at)}] = {stored(s.text, s.dtype)}"


def loaded(text: str, dtype: DType) -> str:
    """What an element in memory is in a register."""
    if dtype.kind == "b":
        return f"{text} != 0"
    return f"unpack_f16({text})" if dtype is float16 else text


def stored(text: str, dtype: DType) -> str:
    """What a value in a register is in memory."""
    if dtype.kind == "b":
        return f"to_u8({text})"
    return f"pack_f16({text})" if dtype is float16 else text


def index(at: Address) -> str:
    """An address as an integer expression of the loop variables."""
    terms = [at.offset] if at.offset else []
    terms += [stride if k == 1 else f"{k} * {stride}" for k, stride in at.steps]
    for dim, stride in enumerate(at.strides):
        if stride is not None:
            terms.append(f"i{dim}" if stride == "1" else f"i{dim} * {stride}")
    return " + ".join(terms) or "0"
