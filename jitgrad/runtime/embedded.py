"""A program inside of a function that Numba compiles for its user.

Numba's code generator asks for the LLVM code of a call (`Embedded.emit`). The kernels of a small
program are linked into the user's module, where LLVM inlines them: between scalars nothing is left
of tables and pointers. A large program is run by the same native function that runs it from Python,
with its threads and its memory.

Tensors that the program reads from outside are read at each call, through the object's slot. That
they are still of the type that the program was compiled for is checked there as well.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from jitgrad.codegen.launch import Callback, Entry, Launch, Pointer, Status
from jitgrad.ir.node import Graph
from jitgrad.ir.types import TensorType
from jitgrad.primitives.opaque import CALLEES
from jitgrad.runtime import callbacks, capi, executor, loader, pool
from jitgrad.runtime.links import ABSOLUTE, ARENA, SPECIAL, STATUS, address
from jitgrad.runtime.program import Program
from jitgrad.runtime.table import cost

WORD, BYTE = ir.IntType(64), ir.IntType(8)
LINKED = 1 << 13  # cost up to which kernels are linked: what comes above has no use for inlining
LAUNCHES = 16  # that a linked program has, at most
STACK = 1 << 14  # bytes of its memory
NO_MEMORY, CHANGED = -1, -2  # what `emit` gives in the place of a launch that failed

# The data of the array in a slot of an object; 0 if it is not as the specification says.
READ = f"""
def read(slot, spec):
    array = slot[0]
    good = array[{capi.TYPE}] == spec[0]
    good = good and array[{capi.DTYPE}] == spec[1]
    good = good and array[{capi.DIMENSIONS}] & {capi.INT} == spec[2]
    good = good and array[{capi.FLAGS}] & {capi.SOUND} == {capi.SOUND}
    for d in range(spec[2] if good else 0):
        good = good and array[{capi.EXTENTS}][d] == spec[3 + d]
    return array[{capi.DATA}] if good else 0
"""


class Slot:
    """Where an object keeps an array: `address` of the word, and what the array must be.

    The object has `__slots__`; it must stay alive, and so must this.
    """

    def __init__(self, holder: Any, array: np.ndarray, type: TensorType):
        size = executor.Around([holder], array).place
        self.holder, self.dtype = holder, np.dtype(type.dtype.numpy)
        self.address = id(holder) + 8 * size
        words = [id(np.ndarray), id(self.dtype), len(type.shape), *type.shape]
        self.words = np.array(words, np.int64)


class Embedded:
    """A graph whose last inputs are in `slots`, for calls from Numba's code. Never freed: such
    code holds its addresses.

    What has to be compiled is compiled when it is made: `emit` runs under Numba's lock, and must
    not wait for ours.
    """

    def __init__(self, graph: Graph, slots: Sequence[Slot]):
        self.program = Program(graph, {})
        self.slots = list(slots)
        self.linked = self._is_small()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self.read = loader.routine(READ)
        if self.linked:
            launches = self._launches()
            self.kernels = {n.source: loader.bitcode(n.source) for n in launches}
            self.places = [[self._where(p) for p in n.pointers] for n in launches]
        else:
            self.perform, self.words = loader.routine(executor.PERFORM_ALL), self._table()

    def _is_small(self) -> bool:
        program = self.program
        entries = [entry for _, entry in program.launches]
        return (
            all(isinstance(entry, Launch) for entry in entries)
            and len(entries) <= LAUNCHES
            and sum(cost(entry) for entry in entries) <= LINKED
            and program.plan.arena <= STACK
        )

    def in_python(self) -> list[str]:
        """Functions that it would call in Python, for which Numba's threads cannot wait."""
        found = {p.number for n in self._launches() for p in n.pointers if isinstance(p, Callback)}
        return [CALLEES[k].name for k in sorted(found) if not callbacks.is_native(k)]

    def _launches(self) -> list[Launch]:
        return [launch for _, launch in self.program.flattened]

    def _where(self, pointer: Pointer) -> tuple[int, int]:
        """Base and offset of a pointer; the offset from `ABSOLUTE` is an address."""
        if isinstance(pointer, Entry):
            loader.address(pointer.source)
        place = self.program.locate(pointer)
        if place.symbol is None:
            return place.base, place.offset
        return place.base, place.offset + address(place.symbol, self.program.plan.constants)

    def _table(self) -> np.ndarray:
        program = self.program
        inputs = [(x.shape, np.dtype(x.dtype.numpy)) for x in program.graph.inputs]
        self.arrays = inputs, [(shape, np.dtype(dtype)) for shape, dtype in program.outputs]
        self.table = program.unlinked(program.launches)  # its constants are kept alive
        words = executor.table(self.table, *self.arrays)
        words[executor.HEAVY] = 0  # Python's lock is not ours to give back
        return words

    def errors(self, number: int) -> list[Exception]:
        """What launch `number`, from 1, can report, by the rest of the value divided by 256."""
        launch = self._launches()[number - 1]
        if not any(isinstance(p, Status) for p in launch.pointers):
            return []
        return [self.program.error(number, site) for site in range(max(len(launch.faults), 1))]

    # --- code -----------------------------------------------------------------------------------

    def emit(self, context: Any, builder: ir.IRBuilder, given: Sequence[Any]) -> tuple[Any, Any]:
        """Code that runs it on the pointers of arguments and results.

        Gives two words: the number of a launch that failed, from 1, or 0, or `NO_MEMORY` or
        `CHANGED`; and the value that it reports.
        """
        failed, value = (_slot(builder, WORD) for _ in range(2))
        builder.store(WORD(0), failed)
        end = builder.append_basic_block("end")
        count = len(self.program.graph.inputs) - len(self.slots)
        words = [builder.ptrtoint(pointer, WORD) for pointer in given]
        read = [self._read(builder, slot, failed, end) for slot in self.slots]
        bases = [*words[:count], *read, *words[count:]]
        if self.linked:
            self._emit_linked(context, builder, bases, (failed, value, end))
        else:
            self._emit_call(builder, bases, failed, value)
        builder.branch(end)
        builder.position_at_end(end)
        return builder.load(failed), builder.load(value)

    def _read(self, builder: ir.IRBuilder, slot: Slot, failed: Any, end: Any) -> Any:
        spec = WORD(slot.words.ctypes.data)
        data = _call(builder, self.read, WORD(slot.address), spec)
        _leave_if(builder, builder.icmp_signed("==", data, WORD(0)), failed, WORD(CHANGED), end)
        return data

    def _emit_call(self, builder: ir.IRBuilder, bases: list[Any], failed: Any, value: Any) -> None:
        all_bases = _table(builder, [WORD(0)] * SPECIAL + bases)
        job: list[Any] = [WORD(0)] * pool.JOB_SIZE
        plan = WORD(self.words.ctypes.data)
        job[executor.PLAN], job[executor.COUNT] = plan, WORD(SPECIAL + len(bases))
        job[executor.BASES] = builder.ptrtoint(all_bases, WORD)
        place = _table(builder, job)
        short = _call(builder, self.perform, plan, builder.ptrtoint(place, WORD))
        number = builder.load(_at(builder, place, executor.FAILED))
        none = builder.icmp_signed("!=", short, WORD(0))
        builder.store(builder.select(none, WORD(NO_MEMORY), number), failed)
        builder.store(builder.load(_at(builder, place, executor.VALUE)), value)

    def _emit_linked(
        self, context: Any, builder: ir.IRBuilder, bases: list[Any], ends: tuple[Any, Any, Any]
    ) -> None:
        failed, value, end = ends
        library = context.codegen().create_library("jitgrad")
        for symbol, code in self.kernels.values():
            library.add_llvm_module(_kernel(symbol, code))
        context.active_code_library.add_linking_library(library)
        arena = _slot(builder, ir.ArrayType(BYTE, max(self.program.plan.arena, 1)))
        arena.align = 64
        status = _table(builder, [WORD(0)] * 2)
        known = {
            ABSOLUTE: WORD(0),
            ARENA: builder.ptrtoint(arena, WORD),
            STATUS: builder.ptrtoint(status, WORD),
            **dict(enumerate(bases)),
        }
        for number, (launch, places) in enumerate(zip(self._launches(), self.places), 1):
            ptrs = [builder.add(known[base], WORD(offset)) for base, offset in places]
            self._launch(builder, launch, ptrs)
            if any(isinstance(p, Status) for p in launch.pointers):
                bad = builder.icmp_signed("!=", builder.load(_at(builder, status, 0)), WORD(0))
                builder.store(builder.load(_at(builder, status, 1)), value)
                _leave_if(builder, bad, failed, WORD(number), end)

    def _launch(self, builder: ir.IRBuilder, launch: Launch, ptrs: list[Any]) -> None:
        module, symbol = builder.module, self.kernels[launch.source][0]
        kernel = module.globals.get(symbol)
        if kernel is None:
            pointer = WORD.as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, WORD, WORD])
            kernel = ir.Function(module, kind, symbol)
        dims = _table(builder, [WORD(d) for d in launch.dims])
        builder.call(kernel, [_table(builder, ptrs), dims, WORD(0), WORD(launch.extent)])


def _kernel(symbol: str, code: bytes) -> Any:
    """A kernel's module, as Numba wants modules."""
    import llvmlite.binding as llvm

    module = llvm.parse_bitcode(code)
    module.name = symbol
    return module


def _slot(builder: ir.IRBuilder, kind: ir.Type) -> Any:
    """A place on the stack, made once even if the code around is a loop."""
    with builder.goto_entry_block():
        return builder.alloca(kind)


def _at(builder: ir.IRBuilder, table: Any, k: int) -> Any:
    return builder.gep(table, [WORD(k)], source_etype=WORD)


def _table(builder: ir.IRBuilder, words: Sequence[Any]) -> Any:
    """A pointer to words on the stack."""
    with builder.goto_entry_block():
        table = builder.alloca(WORD, max(len(words), 1))
    for k, word in enumerate(words):
        builder.store(word, _at(builder, table, k))
    return table


def _call(builder: ir.IRBuilder, address: int, *args: Any) -> Any:
    kind = ir.FunctionType(WORD, [WORD] * len(args))
    return builder.call(builder.inttoptr(WORD(address), kind.as_pointer()), args)


def _leave_if(builder: ir.IRBuilder, test: Any, failed: Any, number: Any, end: Any) -> None:
    """Go to the end, with a number in `failed`, if a test is true."""
    with builder.if_then(test, likely=False):
        builder.store(number, failed)
        builder.branch(end)
