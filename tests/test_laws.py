"""The law: the compiler names no op outside a table of rules.

Whoever adds an op writes one declaration. That holds only as long as no pass and no code
generator asks for an op by name. What must know ops (rewrite rules, library calls, reductions'
starting values) is a table, so that what it knows can be read in one place. `TABLES` lists all of
them, with the reason why each exists; a new one is added here, and read by a reviewer.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.ir.op import OPS, Op

ROOT = Path(__file__).resolve().parent.parent / "jitgrad"
COMPILER = ("ir", "autodiff", "passes", "codegen", "runtime")

# Ops that the IR itself is made of. They are declared in ir/node.py, and mean the same everywhere.
OF_THE_IR = {"input", "constant", "project"}

REWRITES = "rewrite rules, written in ops"
SCALARS = "names of scalar functions, the vocabulary of scalar expressions; ops are made of them"
NO_OP = "the name of an attribute or of a module that an op happens to share"
# file or folder -> reason; or file -> table -> reason, a table being a name of the module.
TABLES: dict[str, str | dict[str, str]] = {
    "autodiff/forward.py": {"HIDDEN": "op -> operands through which no derivative goes"},
    "autodiff/revolve.py": "the reverse of a loop, a program written in ops",
    "codegen/direct.py": {
        "ARITHMETIC": "Python's operators -> the operations of LLVM's integers and floats",
    },
    "codegen/calls.py": {
        "CALLS": "op -> its launches, for ops that are a kernel or a library call of their own",
        "SCRATCH": "op -> bytes of scratch memory of such a call",
    },
    "codegen/canonical/": "hand-written kernels, one for each op named; here names are only text",
    "codegen/cuda/grids.py": {
        "RULES": "op -> its launches on a device",
        "SCRATCH": "ops whose launches need scratch memory",
        "OWN_SCRATCH": "op -> bytes of scratch memory that only launches on a device need",
    },
    "codegen/cuda/matrices.py": {
        "TEXTS": "op -> the kernel that computes it",
        "_dims": NO_OP,
        "RULES": "op -> its launches on a device",
        "SCRATCH": "op -> bytes of scratch memory of such a launch",
    },
    "codegen/cuda/names.py": SCALARS,
    "codegen/cuda/orthogonal.py": {
        "RULES": "op -> its launches on a device",
        "SCRATCH": "op -> bytes of scratch memory of such a launch",
    },
    "codegen/cuda/products.py": {"CALLS": "op -> how it is a product"},
    "codegen/cuda/specials.py": {"_bodies": "op -> the lines that compute it"},
    "codegen/words.py": {"BINARY": "machine instructions", "FUNCTIONS": "machine instructions"},
    "codegen/factors.py": {
        "RULES": "op -> its call of LAPACK",
        "SCRATCH": "op -> bytes of scratch memory of such a call",
        "solve": NO_OP,
        "triangular_solve": NO_OP,
    },
    "codegen/conv/images.py": {
        "MAPS": "convolutions from image to image",
    },
    "codegen/conv/weight.py": {"Weight": "the sums of parts are added up"},
    "codegen/conv/geometry.py": {"geometry_of": NO_OP},
    "codegen/rows.py": {"RULES": "op -> its hand-written kernel", "_pool": NO_OP},
    "codegen/scalar.py": {
        "INLINE": SCALARS,
        "GENERIC": SCALARS,
        "_call": SCALARS,
        "MONOIDS": "reduction -> its identity and step",
        "UNROUNDED": "reduction -> the op whose result it takes without rounding",
    },
    "codegen/structured/indexed.py": {
        "READS": "op -> the lines that read an array at computed places",
        "WRITES": "op -> the lines that overwrite it there",
        "ROWS": "those of them whose index must exist",
    },
    "codegen/structured/kernel.py": {"alone": "tries how a region would be lowered"},
    "codegen/structured/scalars.py": {"CALLS": "op -> the lines that compute it in variables"},
    "codegen/vecmath/": SCALARS,
    "codegen/specials.py": {"RULES": "op -> SciPy's routine, or the kernel that computes it"},
    "codegen/strips.py": {
        "CALLS": "op -> its launches on a tile, for library calls",
        "ADDING": "op -> launches that add a tile's product to what there is",
        "PANELS": "op -> how the operand that all tiles share is packed",
        "SLICES": "op -> its launches on slices of the first axis",
        "_reduction": "tiles of a product are summed",
    },
    "passes/access.py": {
        "INDEX_RULES": "view -> how it maps indices",
        "keeps_order": "the view that is no map of indices",
    },
    "passes/arithmetic.py": REWRITES,
    "passes/axes.py": {"PAIRS": "view or join -> which of its axes are its operands'"},
    "passes/batches.py": REWRITES,
    "passes/dce.py": {"BODIES": "regions whose results are those of one graph"},
    "passes/fuse.py": {"ROW_TO_FULL": "views that a row kernel reads its own results through"},
    "passes/joins.py": REWRITES,
    "passes/lanes.py": REWRITES,
    "passes/layout.py": REWRITES,
    "passes/columns.py": REWRITES,
    "passes/cost.py": {
        "SIMPLE": "functions of scalar expressions that are an instruction or two",
        "DIVIDES": "functions that take as long as a division",
    },
    "passes/margins.py": REWRITES,
    "passes/orient.py": {"PRODUCTS": "library calls that can be made transposed"},
    "passes/placing.py": {
        "HOLDERS": "op -> where in its result its operands are",
        "CHANGES": "the same for ops that change a copy of their first operand",
    },
    "passes/picks.py": REWRITES,
    "passes/gather.py": {"_Gather": "makes the kernels that it is about"},
    "passes/pairs.py": "op -> what it does to complex numbers, written in ops of real ones",
    "passes/pair_functions.py": "functions of complex numbers, written in ops of real ones",
    "passes/parts.py": {"SLICES": "views of a part, along axes that stay"},
    "passes/ranges.py": {
        "RULES": "op -> the range of its result, from those of its operands",
        "ABSORBING": "op -> the range that decides it alone",
        "CHOICE": "the op that chooses between two values",
    },
    "passes/reductions.py": REWRITES,
    "passes/regions.py": {
        "READS_TRANSPOSED": "library calls with a flag for transposed operands",
        "Regions": "makes the region that fusion is about",
    },
    "passes/outside.py": REWRITES,
    "passes/reciprocals.py": REWRITES,
    "passes/sooner.py": REWRITES,
    "passes/terms.py": REWRITES,
    "passes/squeeze.py": REWRITES,
    "passes/stabilize.py": REWRITES,
    "passes/strips.py": {"_emit_group": "makes the region that strips are about"},
    "passes/unload.py": {
        "READS": "ops that read the row of an index",
        "WRITES": "ops that write it",
        "SUMS": "reductions that add",
        "ADD": "the op that adds",
        "REPEATS": "the view that repeats",
        "PRODUCTS": "products of matrices",
        "JOINTLY": "ops that are linear in all operands together",
        "SCALED": "ops that are linear in the first",
        "EITHER": "ops that are linear in either",
        "_Loop": "compares an attribute; makes the product of all iterations",
        "_as_rows": "makes the rows of all iterations",
        "_alone": "makes the region that is tried",
    },
    "passes/tiles.py": {"RULES": "step -> the loops along which it can be cut"},
    "passes/vectors.py": REWRITES,
    "passes/widen.py": {
        "ACCUMULATES": "ops that sum products, beside the reductions",
        "_widened": "makes the casts that it is about",
    },
}


def names_in(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, op, owner) wherever code names an op: in a string, or by a name it imported.

    The owner is the module-level name that the code belongs to.
    """
    known: dict[str, object] = {}  # what names imported from jitgrad.primitives stand for
    for statement in ast.parse(source).body:
        owner = owner_of(statement)
        prose = docstrings(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom):
                known |= imported(node)
            elif node not in prose:
                name = named(node, known)
                if name is not None and name not in OF_THE_IR:
                    yield node.lineno, name, owner


def owner_of(statement: ast.stmt) -> str:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    return ", ".join(t.id for t in targets if isinstance(t, ast.Name)) or "the module"


def docstrings(statement: ast.stmt) -> set[ast.AST]:
    """Strings that are statements of their own."""
    return {n.value for n in ast.walk(statement) if isinstance(n, ast.Expr)}


def imported(node: ast.ImportFrom) -> dict[str, object]:
    if not (node.module or "").startswith("jitgrad.primitives"):
        return {}
    module = importlib.import_module(node.module)
    return {a.asname or a.name: getattr(module, a.name, None) for a in node.names}


def named(node: ast.AST, known: dict[str, object]) -> str | None:
    """The op that a piece of code names, if it does."""
    found = None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and node.value in OPS else None
    if isinstance(node, ast.Name):
        found = known.get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found = getattr(known.get(node.value.id), node.attr, None)
    return found.name if isinstance(found, Op) else None


def rules_for(path: str) -> str | dict[str, str]:
    """What is allowed in a file."""
    folders = [key for key in TABLES if key.endswith("/") and path.startswith(key)]
    return TABLES[folders[0]] if folders else TABLES.get(path, {})


def allowed(path: str, owner: str) -> bool:
    rules = rules_for(path)
    return isinstance(rules, str) or owner in rules


def compiler_files() -> list[Path]:
    return sorted(path for folder in COMPILER for path in (ROOT / folder).rglob("*.py"))


def test_the_compiler_names_no_op_outside_a_table() -> None:
    offenders = []
    for path in compiler_files():
        relative = path.relative_to(ROOT).as_posix()
        for line, name, owner in names_in(path.read_text(encoding="utf-8")):
            if not allowed(relative, owner):
                offenders.append(f"{relative}:{line}: {owner} names the op {name}")
    assert not offenders, "\n" + "\n".join(offenders)


def test_every_table_is_there() -> None:
    """What no longer names an op needs no place in the list."""
    for path, tables in TABLES.items():
        files = [f for f in compiler_files() if f.relative_to(ROOT).as_posix().startswith(path)]
        texts = [f.read_text(encoding="utf-8") for f in files]
        owners = {owner for text in texts for _, _, owner in names_in(text)}
        assert owners, path
        assert isinstance(tables, str) or tables.keys() <= owners, path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('X = {"tanh": 1}', [(1, "tanh", "X")]),
        ('X: dict = {"tanh": 1}', [(1, "tanh", "X")]),
        ('def f(n):\n    return n.op.name == "tanh"', [(2, "tanh", "f")]),
        ('class A:\n    def f(self):\n        return "tanh"', [(3, "tanh", "A")]),
        ("from jitgrad.primitives.elementwise import tanh", []),
        ("from jitgrad.primitives.elementwise import pow_ as p\nX = [p]", [(2, "pow", "X")]),
        ("from jitgrad.primitives import shape\nx = shape.slice_", [(2, "slice", "x")]),
        ('X |= {"tanh": 1}\nX["tanh"] = 2', [(1, "tanh", "X"), (2, "tanh", "the module")]),
        ("import numpy\nx = numpy.tanh", []),
        ("from jitgrad.primitives.declare import zeros", []),
        ('"""tanh"""\ndef f():\n    "tanh"', []),
        ('X = "tanhs", "input", "constant"', []),
    ],
)
def test_names_are_found(source: str, found: list) -> None:
    assert list(names_in(source)) == found
