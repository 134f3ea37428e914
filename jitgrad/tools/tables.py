"""``python -m jitgrad ops`` and ``config``: what there is, in tables."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jitgrad import config
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import DTYPES, complex128, float64
from jitgrad.passes.pairs import EACH, RULES

# --- text ---------------------------------------------------------------------------------------


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table in plain text; the columns in `right` are set to the right.

    >>> print(columns(("op", "count"), [("add", "12"), ("tanh", "3")], right=(1,)))
    op    count
    ----  -----
    add      12
    tanh      3
    """
    cells = [[str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    cells.insert(1, ["-" * width for width in widths])
    lines = [
        "  ".join([c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(pairs)])
        for pairs in (list(zip(row, widths)) for row in cells)
    ]
    return "\n".join([line.rstrip() for line in lines])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(
        [f"| {' | '.join([c.replace('|', chr(92) + '|') for c in r])} |" for r in lines]
    )


# --- ops ----------------------------------------------------------------------------------------

KINDS = {"f": "float", "c": "complex", "i": "int", "u": "uint", "b": "bool"}


@dataclass(frozen=True, slots=True)
class OpRow:
    """What the table says of an op."""

    name: str
    kind: str
    operands: str  # an elementwise op's expression, else the number of operands
    dtypes: str  # kinds of dtypes its samples exist for
    derivatives: str  # reverse, forward, batching
    doc: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        return (self.name, self.kind, self.operands, self.dtypes, self.derivatives, self.doc)


HEAD = ("op", "kind", "of", "dtypes", "rules", "meaning")


def rows(names: Iterable[str] = ()) -> list[OpRow]:
    """A row for each op, or for some, in the order of declaration."""
    import jitgrad.autodiff.custom
    import jitgrad.primitives  # noqa: F401  declares the ops

    chosen = set(names)
    return [_row(op) for op in OPS.values() if not chosen or op.name in chosen]


def _row(op: Op) -> OpRow:
    kinds = {d.kind for d in DTYPES if next(iter(op.samples(d)), None) is not None}
    kinds |= {"c"} if op.kind != "leaf" and (op in RULES or op in EACH) else set()
    shown = [text for kind, text in KINDS.items() if kind in kinds]
    rules = [
        word
        for word, there in (
            ("reverse", _has_gradient(op)),
            ("forward", op.jvp is not None and _has_gradient(op)),
            ("batch", op.batch is not None),
        )
        if there
    ]
    return OpRow(
        op.name,
        op.kind,
        op.scalar or "",
        " ".join(shown),
        " ".join(rules),
        " ".join(op.doc.partition("\n\n")[0].split()) if op.doc else "",
    )


def _has_gradient(op: Op) -> bool:
    """Whether any operand of a float sample has a derivative."""
    from jitgrad.ir.node import builder, input_node
    from jitgrad.ir.types import TupleType, of_array
    from jitgrad.primitives.declare import zeros

    sample = next(iter([*op.samples(float64), *op.samples(complex128)]), None)
    if op.vjp is None or sample is None:
        return False
    inputs = [input_node(f"x{i}", of_array(a)) for i, a in enumerate(sample.inputs)]
    node = builder.make(op, tuple(inputs), dict(sample.attrs))
    seeds = (
        tuple([input_node(f"g{i}", t) for i, t in enumerate(node.type.items)])
        if isinstance(node.type, TupleType)
        else input_node("g", node.type)
    )
    nothing = [zeros(x.type) for x in inputs]
    return any(g is not None and g is not z for g, z in zip(op.vjp(node, seeds), nothing))


def ops(argv: Sequence[str] | None = None) -> int:
    """The command ``ops``."""
    parser = argparse.ArgumentParser(
        prog="jitgrad ops", description="List the ops: what the compiler is made of."
    )
    parser.add_argument("names", nargs="*", metavar="OP", help="only these")
    parser.add_argument("--kind", help="only ops of a kind, as in --kind reduce")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args(argv)
    found = rows(options.names)
    unknown = [name for name in options.names if name not in OPS]
    if unknown:
        parser.error(_unknown(unknown[0]))
    kinds = dict.fromkeys([op.kind for op in OPS.values()])
    if options.kind is not None and options.kind not in kinds:
        parser.error(f"no ops are of kind {options.kind!r}; have {', '.join(kinds)}")
    found = [row for row in found if options.kind in (None, row.kind)]
    if options.markdown:
        code = [(f"`{r.name}`", r.kind, f"`{r.operands}`" if r.operands else "", *r.cells[3:])
                for r in found]  # fmt: skip
        print(markdown(HEAD, code))
    else:
        print(columns(HEAD, [row.cells for row in found]))
    return 0


def _unknown(name: str) -> str:
    from jitgrad.errors import IRError
    from jitgrad.ir.op import op

    try:
        op(name)
    except IRError as error:
        return str(error)
    return ""


# --- settings -----------------------------------------------------------------------------------


def setting_rows(values: bool = True) -> list[tuple[str, ...]]:
    """A row for each setting: variable, value now (and where it is from), default, meaning."""
    found = []
    for name, setting in config.SETTINGS.items():
        value = config.get(name)
        chosen = os.environ.get(setting.variable) or value != setting.default
        now = [f"{_shown(value)}{'' if chosen else ' (default)'}"]
        shown = now if values else []
        found.append((setting.variable, *shown, _shown(setting.default), setting.meaning))
    return found


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value) or "none"


def settings(argv: Sequence[str] | None = None) -> int:
    """The command ``config``."""
    parser = argparse.ArgumentParser(
        prog="jitgrad config",
        description="List the settings and their values. They are read from the environment when"
        " jitgrad is imported; jitgrad.config.override(name=value) changes them for a while.",
    )
    parser.add_argument("--markdown", action="store_true", help="a Markdown table, without values")
    options = parser.parse_args(argv)
    if options.markdown:
        table = [(f"`{v}`", default, meaning) for v, default, meaning in setting_rows(values=False)]
        print(markdown(("variable", "default", "meaning"), table))
    else:
        print(columns(("variable", "value", "default", "meaning"), setting_rows()))
    return 0
