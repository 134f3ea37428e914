"""Expressions converted: what may ask a traced value whether it is true, calls, and writes.

a if c else b      jg__.choose(c, lambda: a, lambda: b)
a and b, a or b    jg__.every(a, lambda: b), jg__.some(a, lambda: b)
not a              jg__.negate(a)
a < b < c          jg__.chain(("<", "<"), a, lambda: b, lambda: c)
f(x)               jg__.callee(f)(x)
x[k] = v           jg__.touch(x)[k] = v
… if c]            … if jg__.holds(c)]
[f(x) for x in s]  jg__.listed(s, lambda x: f(x))
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from jitgrad.frontend.control.scope import bound, walk

RUN = "jg__"  # the name under which converted code knows `jitgrad.frontend.control.run`
SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
ITEM = "jg_item"
LATER = (ast.Lambda, ast.GeneratorExp, ast.Yield, ast.YieldFrom, ast.Await)


def name(text: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(text, ast.Load())


def call(function: str, *args: ast.expr) -> ast.Call:
    """A call of a function of `run`."""
    return ast.Call(ast.Attribute(name(RUN), function, ast.Load()), list(args), [])


def thunk(body: ast.expr) -> ast.Lambda:
    """``lambda: body``."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), body)


def placed(new: Any, old: ast.AST) -> Any:
    """A new node at an old one's place in the file, and with it, in the end, all that is new inside
    of it. Python takes the last line of a long node for the line of a call of an attribute: so it
    is cut to its first.
    """
    if getattr(old, "end_lineno", None) != getattr(old, "lineno", None):
        short = ast.Pass(lineno=old.lineno, col_offset=old.col_offset)  # type: ignore[attr-defined]
        short.end_lineno, short.end_col_offset = short.lineno, short.col_offset
        old = short
    return ast.copy_location(new, old)


def _function(parameter: str, body: ast.expr) -> ast.Lambda:
    return ast.Lambda(ast.arguments([], [ast.arg(parameter)], None, [], [], None, []), body)


def _is_one_by_one(node: ast.ListComp | ast.GeneratorExp) -> bool:
    """Whether a comprehension is a function of the items of something, and nothing more."""
    inside = list(walk(node.elt))
    part, *others = node.generators
    return not (
        others or part.ifs or part.is_async or bound([node.elt])
        or any(isinstance(n, LATER) for n in inside)
    )  # fmt: skip


class Expressions(ast.NodeTransformer):
    """Converts the expressions of one function, and those of the lambdas in it.

    hoist   makes a nested function of an expression that binds a name (`:=`), and gives what it is;
            None where there is no place for one.
    nested  converts a `def` inside.
    """

    def __init__(
        self,
        unsure: set[int],
        owner: tuple[str, str],
        nested: Callable[[ast.FunctionDef], ast.stmt],
        hoist: Callable[[ast.expr], ast.expr] | None,
    ):
        self.unsure, self.nested, self.hoist = unsure, nested, hoist
        self.class_name, self.self_name = owner
        self.texts = (
            ""  # what becomes of f-strings here: "text" in a `print`, "message" in a `raise`
        )
        self.taken: dict[int, str] = {}  # generators that are arguments: of which function
        self.inside = 0  # of lambdas and comprehensions, where nothing can be hoisted to

    def later(self, expression: ast.expr) -> ast.expr | None:
        """An expression as a function without arguments; None if that is not possible."""
        if any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in walk(expression)):
            return None
        if not bound([expression]):
            return placed(thunk(self.visit(expression)), expression)
        if self.inside or self.hoist is None:
            return None
        return self.hoist(expression)

    # --- decisions ------------------------------------------------------------------------------

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        parts = self.later(node.body), self.later(node.orelse)
        if None in parts:
            return placed(ast.IfExp(test, self.visit(node.body), self.visit(node.orelse)), node)
        return placed(call("choose", test, *parts), node.test)  # type: ignore[arg-type]

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        rest = [self.later(v) for v in node.values[1:]]
        if None in rest:
            return self.generic_visit(node)  # type: ignore[return-value]
        function = "every" if isinstance(node.op, ast.And) else "some"
        return placed(call(function, self.visit(node.values[0]), *rest), node)  # type: ignore[arg-type]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return placed(call("negate", node.operand), node) if isinstance(node.op, ast.Not) else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        symbols = [SYMBOLS[type(op)] for op in node.ops]
        if len(symbols) == 1 and symbols[0] not in ("in", "not in"):
            self.generic_visit(node)
            if any(isinstance(x, ast.List) for x in (node.left, *node.comparators)):
                node.left = placed(call("settled", node.left), node.left)
                node.comparators = [placed(call("settled", c), c) for c in node.comparators]
            return node
        rest = [self.later(c) for c in node.comparators]
        if None in rest:
            return self.generic_visit(node)  # type: ignore[return-value]
        table = ast.Tuple([ast.Constant(s) for s in symbols], ast.Load())
        return placed(call("chain", table, self.visit(node.left), *rest), node)  # type: ignore[arg-type]

    # --- names ----------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if id(node) in self.unsure and isinstance(node.ctx, ast.Load) and not self.inside:
            return placed(call("bound", thunk(name(node.id)), ast.Constant(node.id)), node)
        return node

    def mangled(self, text: str) -> str:
        """A private name of a class, as the compiler would write it."""
        owner = self.class_name.lstrip("_")
        private = text.startswith("__") and not text.endswith("__") and text != RUN
        return f"_{owner}{text}" if private and owner else text

    # --- calls and writes -----------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            node.args = [name("__class__"), name(self.self_name)]
            return placed(node, node)
        prints = isinstance(node.func, ast.Name) and node.func.id == "print"
        before, self.texts = self.texts, "text" if prints else self.texts
        if isinstance(node.func, ast.Name):
            self.taken.update((id(x), node.func.id) for x in node.args)
        self.generic_visit(node)
        self.texts = before
        node.func = placed(call("callee", node.func), node.func)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        node.attr = self.mangled(node.attr)
        if not isinstance(node.ctx, ast.Load):
            touched = call("touch", node.value, ast.Constant(node.attr))
            node.value = placed(touched, node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        how = "look" if isinstance(node.ctx, ast.Load) else "touch"
        node.value = placed(call(how, node.value), node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        self.generic_visit(node)
        if not self.texts:
            return node
        parts: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                kind = ast.Constant(chr(part.conversion) if part.conversion != -1 else "")
                spec = part.format_spec or ast.Constant("")
                parts.append(ast.Tuple([part.value, kind, spec], ast.Load()))
            else:
                parts.append(part)
        return placed(call(self.texts, *parts), node)

    # --- scopes ---------------------------------------------------------------------------------

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d and self.visit(d) for d in node.args.kw_defaults]
        self.inside += 1
        node.body = self.visit(node.body)
        self.inside -= 1
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        before, self.texts = self.texts, "message"
        self.generic_visit(node)
        self.texts = before
        return node

    def _comprehension(self, node: ast.expr) -> ast.expr:
        self.inside += 1
        self.generic_visit(node)
        self.inside -= 1
        for part in node.generators:  # type: ignore[attr-defined]
            part.ifs = [placed(call("holds", test), test) for test in part.ifs]
            part.iter = placed(call("settled", part.iter), part.iter)
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        if not _is_one_by_one(node):
            return self._comprehension(node)
        return placed(call("listed", *self.mapped(node)), node)

    def mapped(self, node: ast.ListComp | ast.GeneratorExp) -> list[ast.expr]:
        """What a comprehension goes through, and the function of an item that it is."""
        over, target = node.generators[0].iter, node.generators[0].target
        self.inside += 1
        item = self.visit(node.elt)
        self.inside -= 1
        if isinstance(target, ast.Name):
            return [self.visit(over), placed(_function(target.id, item), node.elt)]
        again = ast.comprehension(target, ast.Tuple([name(ITEM)], ast.Load()), [], 0)
        one = ast.Subscript(ast.ListComp(item, [again]), ast.Constant(0), ast.Load())
        return [self.visit(over), placed(_function(ITEM, one), node.elt)]

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        if id(node) not in self.taken or not _is_one_by_one(node):
            return self._comprehension(node)
        return placed(call("given", name(self.taken[id(node)]), *self.mapped(node)), node)

    visit_SetComp = visit_DictComp = _comprehension

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return self.nested(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node
