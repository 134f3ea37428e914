"""One compiled variant of a function, for arguments of certain types, and its shortest call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import config, tree
from jitgrad.frontend import graphcall
from jitgrad.frontend.guards import PLAIN, Guards
from jitgrad.frontend.tape import edge_of
from jitgrad.frontend.trace import Traced
from jitgrad.state import FUNCTIONAL, state
from jitgrad.tensor import Parameter, Tensor

MISS = type("MISS", (), {"__repr__": lambda self: "MISS"})()
RETRIES = 2  # calls before the shortest call is generated: a function called once never pays for it


class Entry:
    """A traced and compiled variant.

    functional  Parameters that it reads are constants to the tape, as inside of `grad(f)`.
    """

    def __init__(
        self,
        traced: Traced,
        guards: Guards,
        make: graphcall.Maker,
        leaves: Sequence[Any],
        structure: tree.Structure,
        functional: bool,
    ):
        self.traced, self.guards, self.make = traced, guards, make
        self.leaves, self.structure = list(leaves), structure
        self.functional = functional
        self.types = [o.type for o in traced.graph.outputs[: traced.count]]
        self.execute = make(traced.graph, dict(traced.writes))
        self.written = {place for _, place in traced.writes}
        self.pure = traced.graph.replace(traced.graph.outputs[: traced.count])
        guards.watch_types(traced.captures)
        self.calls = 0
        self.fast: Callable[[tuple], Any] | None = None

    def valid(self) -> bool:
        """Whether the trace would still go the same way."""
        looked = all(tensor._version == version for tensor, version in self.traced.values)
        return looked and self.guards.hold()

    def run(self, tensors: Sequence[Tensor]) -> Any:
        """Call it on the Tensors among the arguments."""
        inputs = [*tensors, *self.traced.captures]
        if state.grad and self.is_followed(inputs):
            outputs = self.run_followed(inputs)
        else:
            outputs = self.run_plain(inputs)
        self.calls += 1
        return self.packed(outputs)

    def is_followed(self, inputs: Sequence[Tensor]) -> bool:
        """Whether the tape follows an input. What the function overwrites is a constant to it."""
        before = state.grad
        if self.functional:
            state.grad = FUNCTIONAL
        try:
            return any(
                x._grad_fn is not None and i not in self.written and edge_of(x) is not None
                for i, x in enumerate(inputs)
            )
        finally:
            state.grad = before

    def run_plain(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        arrays = self.execute(*[graphcall.contiguous(x) for x in inputs])
        for place in self.written:
            inputs[place]._version += 1
        return [Tensor._wrap(a, t) for a, t in zip(arrays, self.types, strict=True)]

    def run_followed(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """As one node on the tape. What is overwritten is kept for the gradient."""
        kept = list(inputs)
        for place in self.written:
            x = inputs[place]
            kept[place] = Tensor._wrap(x._array("passed").copy(), x._type)
        outputs = self.run_plain(inputs)
        before = state.grad
        if self.functional:
            state.grad = FUNCTIONAL
        try:
            graphcall.record(self.pure, kept, outputs, self.make, self.written)
        finally:
            state.grad = before
        return outputs

    def packed(self, outputs: Sequence[Tensor]) -> Any:
        """What the function returns."""
        leaves = [
            r.value if r.position is None else outputs[r.position] for r in self.traced.results
        ]
        return tree.unflatten(self.traced.structure, leaves)

    # --- the shortest call ----------------------------------------------------------------------

    def quick(self) -> Callable[[tuple], Any] | None:
        """The generated call, made at the second use."""
        if self.fast is None and self.calls >= RETRIES:
            names: dict[str, Any] = {}
            source = _Writer(self, names).source()
            if source is not None:
                exec(compile(source, "<jitgrad call>", "exec"), names)
                self.fast = names["call"]
        return self.fast


class _Writer:
    """Writes the Python text of an entry's shortest call.

    It takes the tuple of positional arguments, checks with as few comparisons as there can be that
    the entry is the right one, and runs it; otherwise it returns MISS.
    """

    def __init__(self, entry: Entry, names: dict[str, Any]):
        self.entry, self.names = entry, names
        self.conditions: list[str] = []
        self.arrays: list[str] = []
        names.update(
            Tensor=Tensor, MISS=MISS, execute=entry.execute, wrap=Tensor._wrap, state=state
        )
        names.update(guards=entry.guards, settings=config._values, jit=config.get("jit"))

    def source(self) -> str | None:
        """The text, or None where arguments are of a kind that only the long way knows."""
        entry, names = self.entry, self.names
        positional, keywords = entry.structure.children
        if keywords.leaves or any(c.kind is not None for c in positional.children):
            return None
        traced = entry.traced
        for i, leaf in enumerate(entry.leaves):
            if not self.argument(i, leaf):
                return None
        if any(place < len(self.arrays) for place in entry.written):
            return None
        self.captures()
        for i, (tensor, version) in enumerate(traced.values):
            names[f"v{i}"] = tensor
            self.conditions.append(f"v{i}._version == {version}")
        checks = [
            "epoch.value == guards.epoch and settings['jit'] is jit",
            *entry.guards.text(names),
            *self.conditions,
        ]
        condition = "\n            and ".join(checks)
        unpack = "".join(f"a{i}, " for i in range(len(entry.leaves)))
        lines = [
            "def call(args):",
            f"    if len(args) != {len(entry.leaves)}:",
            "        return MISS",
            f"    {unpack}= args" if unpack else "",
            "    try:",
            f"        if not ({condition}):",
            "            return MISS",
            "    except Exception:",
            "        return MISS",
        ]
        if self.followed:  # Parameters that train: one node on the tape
            tensors = [f"a{i}" for i, x in enumerate(entry.leaves) if isinstance(x, Tensor)]
            names["run"] = entry.run
            lines += [
                "    if state.grad:",
                f"        return run(({''.join(f'{t}, ' for t in tensors)}))",
            ]
        lines.append(f"    r = execute({', '.join(self.arrays)})")
        for k, place in enumerate(sorted(entry.written)):
            names[f"w{k}"] = traced.captures[place - self.count]
            lines.append(f"    w{k}._version += 1")
        leaves = iter(traced.results)
        lines.append(f"    return {self.result(traced.structure, leaves)}")
        return "\n".join(line for line in lines if line)

    def argument(self, i: int, leaf: Any) -> bool:
        if isinstance(leaf, Tensor):
            self.names[f"t{i}"] = leaf._type
            self.conditions.append(
                f"type(a{i}) is Tensor and a{i}._type is t{i} and a{i}._grad_fn is None"
                f" and (d{i} := a{i}._data) is not None"
            )
            self.arrays.append(f"d{i}")
            return type(leaf) is Tensor
        self.names[f"s{i}"] = leaf
        if type(leaf) in (int, str, bool) or (type(leaf) is float and leaf and leaf == leaf):
            self.names[f"k{i}"] = type(leaf)
            self.conditions.append(f"type(a{i}) is k{i} and a{i} == s{i}")
        else:
            self.conditions.append(f"a{i} is s{i}")
        return type(leaf) in PLAIN or callable(leaf)

    def captures(self) -> None:
        entry = self.entry
        self.count = len(self.arrays)
        off = False
        for i, tensor in enumerate(entry.traced.captures):
            self.names[f"c{i}"] = tensor
            if self.count + i not in entry.written and tensor.dtype.is_float:
                if not isinstance(tensor, Parameter):
                    self.conditions.append(f"c{i}._grad_fn is None")
                elif entry.functional:
                    self.conditions.append(f"getattr(c{i}._grad_fn, 'parameter', True)")
                elif tensor._trained:
                    off = True
            self.arrays.append(f"c{i}._data")
        self.followed = off

    def result(self, structure: tree.Structure, leaves: Any) -> str:
        """The expression that builds what the function returns."""
        if structure.kind is None:
            leaf = next(leaves)
            n = len(self.names)
            if leaf.position is None:
                self.names[f"o{n}"] = leaf.value
                return f"o{n}"
            self.names[f"o{n}"] = self.entry.types[leaf.position]
            return f"wrap(r[{leaf.position}], o{n})"
        parts = [self.result(child, leaves) for child in structure.children]
        if structure.kind is type(None):
            return "None"
        if structure.kind is tuple:
            return f"({''.join(f'{p}, ' for p in parts)})"
        if structure.kind is list:
            return f"[{', '.join(parts)}]"
        if structure.kind is dict and all(type(k) in (str, int) for k in structure.keys):
            return f"{{{', '.join(f'{k!r}: {p}' for k, p in zip(structure.keys, parts))}}}"
        n = len(self.names)
        self.names[f"o{n}"] = structure
        self.names["build"] = _build
        return f"build(o{n}, [{', '.join(parts)}])"


def _build(structure: tree.Structure, parts: list[Any]) -> Any:
    """One container from its children."""
    shallow = tree.Structure(
        structure.kind, structure.keys, tuple(tree.LEAF for _ in parts), len(parts)
    )
    return tree.unflatten(shallow, parts)
