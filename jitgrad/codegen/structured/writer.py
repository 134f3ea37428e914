"""The text of a structured kernel while it is being written, and the values it computes.

A value is a list of elements, each a local variable or a literal, or it is memory: a flat array and
an offset in it. Arrays of up to `SMALL` elements are elements unless they are indexed at run time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jitgrad.codegen.launch import Pointer
from jitgrad.codegen.loops import Parameters
from jitgrad.codegen.scalar import working
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType, TapeType, TensorType, float16, uint8
from jitgrad.locate import Location

SMALL = 16
INDENT = "    "


class Unsupported(Exception):
    """A region that is no single kernel: `reason` says what in it stands against that."""


@dataclass(frozen=True, slots=True)
class Elements:
    """An array in local variables, in C order."""

    texts: tuple[str, ...]
    type: TensorType


@dataclass(frozen=True, slots=True)
class Memory:
    """An array in memory: `base[offset + i]` is its element i. `private`: it may be overwritten.

    `row` is the distance of the rows of a stack that is a part of a larger one, else empty.
    """

    base: str
    offset: str
    type: TensorType
    private: bool = False
    row: str = ""

    def at(self, index: str) -> str:
        """The text of an element, given its place in the array."""
        terms = [t for t in (self.offset, index) if t and t != "0"]
        return f"{self.base}[{' + '.join(terms) or '0'}]"

    def same_place(self, other: object) -> bool:
        """Whether a value lies here."""
        here = (self.base, self.offset)
        return isinstance(other, Memory) and (other.base, other.offset) == here


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape: the name of its descriptor."""

    name: str
    item: TensorType


Value = Elements | Memory | Tape


def lent(value: Value) -> Value:
    """A value that others read later: nobody overwrites it."""
    return replace(value, private=False) if isinstance(value, Memory) else value


@dataclass(frozen=True, slots=True)
class Fault:
    """What a kernel can report: of which `kind`, where, and the extent or limit that matters."""

    kind: str
    where: Location | None
    extent: int = 0


class Writer:
    """Lines, names and parameters of one kernel."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.first: list[str] = []  # before all others
        self.given: Sequence[str] = ()  # the operands
        self.indent = INDENT
        self.parameters = Parameters()
        self.numbers: dict[Node, str] = {}  # parameters that are constants
        self.faults: list[Fault] = []
        self.scratch: list[int] = []
        self.scratch_names: list[tuple[str, str]] = []  # name, kind of pointer
        self.tapes: list[str] = []  # that live in this kernel only
        self.passed: list[str] = []  # that come in or go out
        self.others: dict[Pointer, str] = {}  # addresses of kernels and library routines
        self.counts: dict[str, int] = {}
        self.lanes = 0  # lanes that have memory of their own, or 0; `lo` is the number of one

    def name(self, stem: str) -> str:
        """A new name."""
        number = self.counts.get(stem, 0)
        self.counts[stem] = number + 1
        return f"{stem}{number}"

    def line(self, text: str) -> None:
        """One more line."""
        self.lines.append(self.indent + text)

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines under a head such as ``while True:``."""
        self.line(head)
        before, self.indent = self.indent, self.indent + INDENT
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.line("pass")
        self.indent = before

    @contextlib.contextmanager
    def before_all(self, early: bool) -> Iterator[None]:
        """Lines that are written once, before all loops, if they can be."""
        place = self.lines, self.indent
        if early:
            self.lines, self.indent = self.first, INDENT
        yield
        self.lines, self.indent = place

    def is_given(self, memory: Memory) -> bool:
        """Whether an array is an operand, and all of it: then it is the same in every iteration."""
        return memory.base in self.given and not (memory.private or memory.offset or memory.row)

    def let(self, text: str, stem: str = "v") -> str:
        """A new variable."""
        name = self.name(stem)
        self.line(f"{name} = {text}")
        return name

    def number(self, value: int, stem: str = "n") -> str:
        """A run-time integer of the kernel."""
        return self.parameters.new(self.name(stem), value)

    # --- elements and memory ---

    def load(self, memory: Memory, index: str) -> str:
        """An element of an array as a variable."""
        text, dtype = memory.at(index), memory.type.dtype
        if dtype.kind == "b":
            text = f"{text} != 0"
        elif dtype is float16:
            text = f"unpack_f16({text})"
        return self.let(text)

    def store(self, memory: Memory, index: str, text: str) -> None:
        """Overwrite an element."""
        dtype = memory.type.dtype
        if dtype.kind == "b":
            text = f"to_u8({text})"
        elif dtype is float16:
            text = f"pack_f16({text})"
        self.line(f"{memory.at(index)} = {text}")

    def elements(self, value: Value) -> tuple[str, ...]:
        """The elements of a value, loaded if need be."""
        if isinstance(value, Elements):
            return value.texts
        if isinstance(value, Tape) or value.type.size > SMALL:
            raise Unsupported(f"{value} as elements")
        return tuple([self.load(value, str(i)) for i in range(value.type.size)])

    def new_memory(self, type: TensorType) -> Memory:
        """Working memory of a type."""
        name = self.name("w")
        self.scratch.append(max(type.nbytes, 1))
        self.scratch_names.append((name, f"{type.dtype.code}_ptr"))
        return Memory(name, self.of_lane(type.size), type, private=True)

    def new_stack(self, item: TensorType, length: int) -> Memory:
        """Working memory for `length` items, those of neighbouring lanes side by side."""
        type = TensorType(item.dtype, (length, *item.shape))
        made = self.new_memory(type)
        if not self.lanes:
            return made
        row = self.number(self.lanes * item.size, "row")
        return Memory(made.base, self.of_lane(item.size), type, True, row)

    def of_lane(self, size: int) -> str:
        """Where a lane's part of an array begins; each has `size` elements."""
        if not self.lanes or not size:
            return ""
        return "lo" if size == 1 else f"lo * {self.number(size)}"

    def new_bytes(self, count: int) -> Memory:
        """Working memory of a step."""
        return self.new_memory(TensorType(uint8, (count,)))

    def new_table(self, words: int) -> str:
        """Working memory for addresses."""
        name = self.name("q")
        self.scratch.append(8 * max(words, 1))
        self.scratch_names.append((name, "table"))
        return name

    def pointer(self, to: Pointer, stem: str) -> str:
        """The name of an address that is known before the kernel runs."""
        if to not in self.others:
            self.others[to] = self.name(stem)
        return self.others[to]

    def constants(self, values: Sequence[int]) -> int:
        """Where integers stand among the kernel's, one after the other."""
        first = len(self.parameters.values)
        for value in values:
            self.number(value, "d")
        return first

    def new_tape(self, item: TensorType) -> Tape:
        """A tape that lives in this kernel only."""
        name = self.name("t")
        self.scratch.append(TapeType.nbytes)
        self.tapes.append(name)
        self.scratch_names.append((name, "i64_ptr"))
        return Tape(name, item)

    def copy(self, target: Memory, value: Value, zero: str = "") -> None:
        """Overwrite an array with a value."""
        if isinstance(value, Elements):
            for i, text in enumerate(value.texts):
                self.store(target, str(i), text)
            return
        assert isinstance(value, Memory)
        if target.same_place(value):
            return
        if target.row or value.row:
            raise Unsupported("a stack of parts, apart from the loop that makes it")
        e = self.name("e")
        with self.block(f"for {e} in range({self.number(target.type.size)}):"):
            self.line(f"{target.at(e)} = {value.at(e)}")

    def fill(self, target: Memory, text: str) -> None:
        """Overwrite all elements with one."""
        e = self.name("e")
        with self.block(f"for {e} in range({self.number(target.type.size)}):"):
            self.store(target, e, text)

    def in_memory(self, value: Value) -> Memory:
        """The value as an array in memory."""
        if isinstance(value, Memory):
            return value
        assert isinstance(value, Elements)
        memory = self.new_memory(value.type)
        self.copy(memory, value)
        return memory

    # --- faults ---

    def fault(self, kind: str, where: Location | None, value: str = "0", extent: int = 0) -> None:
        """Report, and leave the kernel."""
        self.faults.append(Fault(kind, where, extent))
        site = len(self.faults) - 1
        self.line("status[0] = 1")
        self.line(f"status[1] = {value} * 256 + {site}" if value != "0" else f"status[1] = {site}")
        for tape in (*self.tapes, *self.passed):
            self.line(f"free_tape({tape})")
        self.line("return")


def code(dtype: DType) -> str:
    """The code of the dtype in which a kernel computes."""
    return working(dtype).code


def flat_offset(terms: Sequence[str]) -> str:
    """A sum as text."""
    return " + ".join(t for t in terms if t and t != "0")
