"""The shortest call of a compiled entry, as generated Python.

It takes the arguments as a tuple and a dict, checks with as few comparisons as there can be that
the entry is the right one, and runs it; otherwise it returns MISS and the long way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad import config, tree
from jitgrad.frontend.guards import NAMESPACE, PLAIN
from jitgrad.frontend.steps import EDGE
from jitgrad.runtime.executable import Executable
from jitgrad.state import FUNCTIONAL, Leaf, epoch, state
from jitgrad.tensor import Parameter, Tensor
from jitgrad.views import is_shared

if TYPE_CHECKING:
    from jitgrad.api.entry import Entry

MISS = type("MISS", (), {"__repr__": lambda self: "MISS"})()


def generate(entry: Entry) -> Callable[[tuple, dict], Any] | None:
    """The shortest call of an entry; None where arguments are of a kind it does not take."""
    writer = Writer(entry)
    source = writer.source()
    if source is None:
        return None
    exec(compile(source, f"<call of {entry.traced.graph.name}>", "exec"), writer.names)
    return writer.names["call"]


class Writer:
    """Writes the text, and collects what its names stand for."""

    def __init__(self, entry: Entry):
        self.entry = entry
        self.names: dict[str, Any] = {
            **NAMESPACE,
            "Tensor": Tensor,
            "MISS": MISS,
            "state": state,
            "ndarray": np.ndarray,
            "follow": entry.run_followed,
            "FUNCTIONAL": FUNCTIONAL,
            "Leaf": Leaf,
            "build": _build,
            "epoch": epoch,
            "guards": entry.guards,
            "current": config.current,
            "code": config.code(),
        }
        found = self.native()
        self.names["execute"], self.names["failed"] = found or (self.by_python, None)
        self.data = "._data" if found else ""  # native code takes arrays, Python Tensors
        self.known: dict[int, str] = {}
        self.given: list[str] = []  # to `execute`
        self.numbers: list[str] = []  # arguments that the tape may follow
        self.body: list[str] = []

    def native(self) -> tuple[Callable, Callable] | None:
        """What returns a tuple of Tensors, and what says why if it returns anything else."""
        executable = self.entry.execute
        if not isinstance(executable, Executable):
            return None
        array = np.empty(0)
        likes = [Tensor._wrap(array, type) for type in self.entry.types]
        made = executable.caller(likes, array)
        return None if made is None else (made, executable.explain)

    def by_python(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The same wherever the Tensors are, and for results that native code does not make."""
        return self.entry.results(inputs)

    def name(self, stem: str, value: Any) -> str:
        """A name that stands for a value."""
        found = self.known.get(id(value))
        if found is None:
            found = self.known[id(value)] = f"{stem}_{len(self.known)}"
            self.names[found] = value
        return found

    def source(self) -> str | None:
        entry = self.entry
        positional, keywords = entry.structure.children
        if any(c.kind is not None for c in (*positional.children, *keywords.children)):
            return None  # nests
        # What is written to, or kept by the tape, is a Tensor's own.
        followed = any(c._trained for c in entry.traced.captures if isinstance(c, Parameter))
        self.takes_arrays = self.names["failed"] is not None and not entry.written and not followed
        arguments = [f"a{i}" for i in range(len(entry.leaves))]
        conditions = [self.argument(*pair) for pair in zip(arguments, entry.leaves, strict=True)]
        conditions += self.same(arguments)
        if None in conditions or any(place < len(self.given) for place in entry.written):
            return None
        count = len(positional.children)
        lines = ["def call(args, kwargs):"]
        lines += [f"    if len(args) != {count} or len(kwargs) != {len(keywords.keys)}:"]
        lines += ["        return MISS"]
        if count:
            lines += [f"    {', '.join(arguments[:count])}, = args"]
        lines += ["    try:"]
        for argument, key in zip(arguments[count:], keywords.keys, strict=True):
            lines += [f"        {argument} = kwargs[{key!r}]"]
        conditions += ["epoch.value == guards.epoch"]
        conditions += ["current[0] is code"]
        conditions += [*self.captures(len(self.given)), *entry.guards.text(self.name)]
        joined = "\n            and ".join(filter(None, conditions))
        lines += [f"        if not ({joined}):", "            return MISS"]
        lines += ["    except Exception:", "        return MISS"]
        tensors = [a for a, x in zip(arguments, entry.leaves, strict=True) if isinstance(x, Tensor)]
        lines += self.run(tensors)
        return "\n".join(lines)

    def argument(self, a: str, leaf: Any) -> str | None:
        """The condition on one argument; None for an argument of another kind."""
        if type(leaf) is Tensor:
            apart = ""
            if self.entry.exclusive:
                apart = f" and id({a}) not in {self.name('exclusive', self.entry.exclusive)}"
            type_ = self.name("type", leaf._type)
            same = f"type({a}) is Tensor and {a}._type is {type_}{apart}"
            if leaf.dtype.kind != "b":
                self.numbers.append(a)
            if self.takes_arrays:  # native code checks their types
                self.given.append(f"{a} if type({a}) is ndarray else {a}._data")
                return f"(type({a}) is ndarray or {same})"
            self.given.append(f"{a}{self.data}")
            return same
        if isinstance(leaf, Tensor):
            return None
        value = self.name("value", leaf)
        if type(leaf) in (int, str, bool) or (type(leaf) is float and leaf and leaf == leaf):
            return f"type({a}) is {self.name('kind', type(leaf))} and {a} == {value}"
        return f"{a} is {value}" if type(leaf) in PLAIN or callable(leaf) else None

    def same(self, arguments: list[str]) -> Iterator[str]:
        """Conditions on arguments that were one Tensor when it was traced."""
        first: dict[int, str] = {}
        for argument, leaf in zip(arguments, self.entry.leaves, strict=True):
            if isinstance(leaf, Tensor) and first.setdefault(id(leaf), argument) != argument:
                yield f"{argument} is {first[id(leaf)]}"

    def captures(self, count: int) -> Iterator[str]:
        """Conditions on captured Tensors: that the tape does not follow them."""
        entry = self.entry
        self.followed = False
        for i, tensor in enumerate(entry.traced.captures):
            c = self.name("captured", tensor)
            self.given.append(f"{c}{self.data}")
            if count + i in entry.written:
                shared = f"{self.name('is_shared', is_shared)}({c})"
                yield f"({c}._view is {c}._views is None or not {shared})"
            if count + i in entry.written or not tensor.dtype.is_float:
                continue
            if not isinstance(tensor, Parameter):
                yield f"{c}._grad_fn is None"
            elif entry.functional:
                yield f"({c}._grad_fn is None or getattr({c}._grad_fn, 'parameter', False))"
            elif tensor._trained:
                self.followed = True
        for tensor, version in entry.traced.values:
            yield f"{self.name('read', tensor)}._version == {version}"

    def run(self, tensors: list[str]) -> list[str]:
        entry = self.entry
        lines = self.on_tape(tensors)
        plain = [f"outcome = execute({', '.join(self.given)})"]
        if self.names["failed"] is not None:
            plain += ["if type(outcome) is not tuple:", "    failed(outcome)", "    return MISS"]
        for place in sorted(entry.written):
            captured = entry.traced.captures[place - len(tensors)]
            plain.append(f"{self.name('captured', captured)}._version += 1")
        lines += [f"    {'    ' if lines else ''}{line}" for line in plain]
        names = "".join(f"y{k}, " for k in range(len(entry.types)))
        leaves = iter(entry.traced.results)
        result = self.result(entry.traced.structure, leaves)
        if result == f"({names})":
            result = "outcome"
        elif names:
            lines.append(f"    {names}= outcome")
        return [*lines, f"    return {result}"]

    def on_tape(self, tensors: list[str]) -> list[str]:
        """Where the tape follows arguments, or Parameters that train: one node. The lines end in an
        ``else:``.
        """
        entry = self.entry
        if self.followed:
            lines = ["    if mode := state.grad:"]
        elif self.numbers:
            array = "type({a}) is not ndarray and " if self.takes_arrays else ""
            each = [f"{array.format(a=a)}{a}._grad_fn is not None" for a in self.numbers]
            lines = [f"    if ({' or '.join(each)}) and (mode := state.grad):"]
        else:
            return []
        if self.takes_arrays:
            arrays = [f"type({t}) is ndarray" for t in tensors]
            lines += [f"        if {' or '.join(arrays)}:", "            return MISS"]
        if entry.functional:
            lines += ["        mode = FUNCTIONAL"]
        inputs = [*tensors, *[self.name("captured", c) for c in entry.traced.captures]]
        edges = ["None" if i in entry.written else EDGE.format(x) for i, x in enumerate(inputs)]
        given = ", ".join([f"({''.join(f'{x}, ' for x in part)})" for part in (inputs, edges)])
        return [*lines, f"        outcome = follow({given})", "    else:"]

    def result(self, structure: tree.Structure, leaves: Iterator[Any]) -> str:
        """The expression that builds what the function returns."""
        if structure.kind is None:
            leaf = next(leaves)
            return f"y{leaf.position}" if leaf.position is not None else self.name("v", leaf.value)
        parts = [self.result(child, leaves) for child in structure.children]
        if structure.kind is type(None):
            return "None"
        if structure.kind is tuple:
            return f"({''.join(f'{p}, ' for p in parts)})"
        if structure.kind is list:
            return f"[{', '.join(parts)}]"
        if structure.kind is dict and all(type(k) in (str, int) for k in structure.keys):
            return f"{{{', '.join(f'{k!r}: {p}' for k, p in zip(structure.keys, parts))}}}"
        return f"build({self.name('structure', structure)}, [{', '.join(parts)}])"


def _build(structure: tree.Structure, parts: list[Any]) -> Any:
    """One container from its children."""
    shallow = tree.Structure(
        structure.kind, structure.keys, tuple(tree.LEAF for _ in parts), len(parts)
    )
    return tree.unflatten(shallow, parts)
