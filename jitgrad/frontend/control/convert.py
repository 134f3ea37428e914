"""Statements converted: a function's syntax tree becomes one whose control flow can be traced.

Each `if`, `while` and `for` becomes a call of `run` with its blocks as nested functions, which
share the function's variables (`nonlocal`), so that closures and static values behave as ever:

    if c:                       def jg_then_1():
        y = f(x)                    nonlocal y
    else:                           y = jg__.callee(f)(x)
        y = x                   def jg_else_1(): …
                                jg__.branch(c, jg_then_1, jg_else_1, <y: how to read and write it>)

A block that jumps returns what it does (`jg__.BREAK`, `jg__.Return(value)`), None if it reaches its
end. Where a jump may or may not happen, the rest of the block is a function too: `jg__.then`. Every
new node carries the user's line, so that errors, tracebacks and debuggers show the user's own code.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence

from jitgrad.frontend.control import scope
from jitgrad.frontend.control.expressions import RUN, Expressions, call, name, placed, thunk
from jitgrad.frontend.control.normal import normalized
from jitgrad.frontend.control.scope import LOOPS, TRY_STAR, Assignment, Exits, Liveness
from jitgrad.frontend.control.source import Unsupported, parameters

NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])
COMPOUND = (ast.If, *LOOPS, ast.With, ast.Try, *TRY_STAR, ast.Match)


class Converter:
    """Converts one function. `serial` numbers new names, through nested functions too."""

    def __init__(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        class_name: str,
        serial: itertools.count,
        enclosing: frozenset[str] = frozenset(),
    ):
        self.serial, self.class_name = serial, class_name
        body = node.body
        own = [n for s in body for n in scope.walk_scope([s])]
        self.keeps = isinstance(node, ast.AsyncFunctionDef) or any(
            isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in own
        )  # a generator's blocks must stay where they are
        self.globals = scope.declared(body, ast.Global)
        self.outer = scope.declared(body, ast.Nonlocal)
        given = frozenset(parameters(node))
        self.body = body if self.keeps else normalized(body, self.fresh)
        self.local = (scope.bound(self.body) | given) - self.globals - self.outer
        self.visible = self.local | enclosing
        outside = self.globals | self.outer
        self.liveness = Liveness(scope.captured(self.body, ast.GeneratorExp) | outside)
        outliving = scope.captured(self.body) | outside
        self.liveness.block(self.body, scope.NONE, Exits(outliving))
        assignment = Assignment(self.local)
        assignment.block(self.body, given)
        first = next(iter(parameters(node)), "")
        self.hoisted: list[ast.stmt] = []
        self.expressions = Expressions(
            assignment.unsure, (class_name, first), self.nested, None if self.keeps else self.hoist
        )
        self.shared: set[str] = set()  # locals that blocks bind: the function itself must, too
        self.depth = 0

    def fresh(self, stem: str) -> str:
        """A new name."""
        return f"jg_{stem}_{next(self.serial)}"

    def converted(self) -> list[ast.stmt]:
        """The function's new body."""
        docstring, body = [], self.body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            docstring, body = body[:1], body[1:]
        out = self.block(body)
        names = sorted(self.shared & self.local)
        if names and out:  # never runs, but tells Python whose variables they are
            binding = ast.Assign([ast.Name(n, ast.Store()) for n in names], ast.Constant(None))
            out.insert(0, placed(ast.If(ast.Constant(False), [binding], []), out[0]))
        if self.outer and out and not self.keeps:
            cells = [thunk(name(n)) for n in sorted(self.outer)]
            at = next(n for n in scope.walk_scope(self.body) if isinstance(n, ast.Nonlocal))
            out.insert(0, placed(ast.Expr(call("rebinds", *cells)), at))
        return [*docstring, *out]

    # --- blocks ---------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for i, s in enumerate(statements):
            if isinstance(s, COMPOUND) and scope.jumps([s]) and not self.keeps:
                out += self.jumping(s, list(statements[i + 1 :]))
                return out
            out += self.statement(s)
        return out or [ast.Pass()]

    def jumping(self, s: ast.stmt, rest: list[ast.stmt]) -> list[ast.stmt]:
        """A statement that may jump, and what follows it."""
        made, signal = self.construct(s)
        if not rest or scope.never_ends([s]):
            return [*made, self.leave(signal, s)]
        kept = self.fresh("signal")
        made.append(placed(ast.Assign([ast.Name(kept, ast.Store())], signal), s))
        behind, variables = self.fresh("rest"), self.variables(rest, rest[-1], rest[0])
        made += [*variables[0], self.function(behind, rest, rest[0])]
        after = placed(call("then", name(kept), name(behind), variables[1]), rest[0])
        return [*made, self.leave(after, rest[0])]

    def leave(self, signal: ast.expr, at: ast.stmt) -> ast.stmt:
        """Return what a block does: to the block around it, or from the user's function."""
        value = signal if self.depth else call("value", signal)
        return placed(ast.Return(value), at)

    def function(
        self, title: str, body: list[ast.stmt], at: ast.AST, argument: str = ""
    ) -> ast.stmt:
        """A block as a nested function."""
        names = scope.bound(body)
        self.depth += 1
        inside = self.block(body)
        self.depth -= 1
        args = ast.arguments([], [ast.arg(argument)] if argument else [], None, [], [], None, [])
        return placed(ast.FunctionDef(title, args, [*self.scoping(names), *inside], [], None), at)

    def scoping(self, names: frozenset[str]) -> list[ast.stmt]:
        """The declarations that make names those of the user's function."""
        self.shared |= names
        own, outside = sorted(names - self.globals), sorted(names & self.globals)
        found: list[ast.stmt] = [ast.Nonlocal(own)] if own else []
        return [*found, ast.Global(outside)] if outside else found

    def variables(
        self,
        code: Sequence[ast.AST],
        last: ast.stmt,
        at: ast.AST,
        head: frozenset[str] | None = None,
    ) -> tuple[list[ast.stmt], ast.expr]:
        """How `run` reads and writes the names that code binds: a definition, and an expression.

        `last`: the statement after which they may be live; `head`: what is live before each turn
        of a loop.
        """
        found = self.liveness
        jumps = [found.jumped.get(id(s), scope.NONE) for s in code]
        after = found.after.get(id(last), scope.NONE).union(*jumps)
        names = sorted(n for n in scope.bound(code) if not n.startswith("jg_signal"))
        if not names:
            return [], ast.Constant(None)
        seen = after, found.returned.get(id(last), scope.NONE), names if head is None else head
        definition, variables = self.access(names, [[n in s for n in names] for s in seen], at)
        return [definition], variables

    def access(
        self, names: list[str], seen: list[list[bool]], at: ast.AST
    ) -> tuple[ast.stmt, ast.expr]:
        """A function that binds names, and `Variables` that use it. `seen`: where they are live."""
        setter, given = self.fresh("set"), "jg_values"
        targets = ast.Tuple([ast.Name(n, ast.Store()) for n in names], ast.Store())
        args = ast.arguments([], [ast.arg(given)], None, [], [], None, [])
        body = [*self.scoping(frozenset(names)), ast.Assign([targets], name(given))]
        definition = placed(ast.FunctionDef(setter, args, body, [], None), at)
        getters = ast.Tuple([thunk(name(n)) for n in names], ast.Load())
        parts = [
            _constants(names),
            *[_constants(live) for live in seen],
            getters,
            name(setter),
        ]
        return definition, placed(call("Variables", *parts), at)

    # --- statements -----------------------------------------------------------------------------

    def statement(self, s: ast.stmt) -> list[ast.stmt]:
        """A statement that does not jump, or a jump itself."""
        if isinstance(s, (ast.Break, ast.Continue)) and not self.keeps:
            signal = "BREAK" if isinstance(s, ast.Break) else "CONTINUE"
            value = ast.Attribute(name(RUN), signal, ast.Load())
            return [placed(ast.Return(value), s)]
        if isinstance(s, ast.Return) and self.depth:
            value = self.expression(s.value) if s.value else ast.Constant(None)
            return self.with_hoisted([placed(ast.Return(call("Return", value)), s)])
        if isinstance(s, (ast.If, ast.For, ast.While)) and not self.keeps:
            made, signal = self.construct(s)
            return [*made, placed(ast.Expr(signal), s)]
        if isinstance(s, (ast.Nonlocal, ast.Global)) and self.depth:
            return []  # declared by `scoping`, as far as the block binds them
        if isinstance(s, (*COMPOUND, ast.AsyncFor, ast.AsyncWith)):
            return self.in_place(s)
        out = self.with_hoisted([self.expressions.visit(s)])
        if isinstance(s, ast.Global):
            noted = call("outward", *[ast.Constant(n) for n in s.names])
            out.append(placed(ast.Expr(noted), s))
        if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            looked = call("augmented", thunk(name(s.target.id)), ast.Constant(s.target.id))
            out.insert(len(out) - 1, placed(ast.Expr(looked), s))
        return out

    def in_place(self, s: ast.stmt) -> list[ast.stmt]:
        """A compound statement that stays one: its expressions and blocks are converted."""
        for field, value in ast.iter_fields(s):
            if isinstance(value, ast.expr):
                setattr(s, field, self.expression(value))
        for item in getattr(s, "items", ()):
            self.expressions.visit(item)
        if isinstance(s, (ast.If, ast.While)):  # of a generator
            s.test = placed(call("holds", s.test), s.test)
        self.guards(s)
        out = self.with_hoisted([])
        for part in (s, *getattr(s, "handlers", ()), *getattr(s, "cases", ())):
            for field in ("body", "orelse", "finalbody"):
                if getattr(part, field, None):
                    setattr(part, field, self.block(getattr(part, field)))
        self.catching(s)
        return [*out, s]

    def guards(self, s: ast.stmt) -> None:
        """The guards of a `match`, before which nothing can be defined."""
        self.expressions.inside += 1
        for case in getattr(s, "cases", ()):
            case.guard = case.guard and self.expression(case.guard)
        self.expressions.inside -= 1

    def expression(self, e: ast.expr) -> ast.expr:
        return self.expressions.visit(e)

    def with_hoisted(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """The statements behind the functions that their expressions need."""
        before, self.hoisted = self.hoisted, []
        return [*before, *statements]

    def hoist(self, e: ast.expr) -> ast.expr:
        """A part of an expression that binds names, as a function that knows which."""
        title = self.fresh("expression")
        returned = ast.Return(self.expression(e))
        names = scope.bound([e])
        body = [*self.scoping(names), returned]
        self.hoisted.append(placed(ast.FunctionDef(title, NO_ARGUMENTS, body, [], None), e))
        setter, variables = self.access(sorted(names), [[True] * len(names)] * 3, e)
        self.hoisted.append(setter)
        return placed(call("Binding", name(title), variables), e)

    def nested(self, node: ast.FunctionDef) -> ast.stmt:
        """A `def` inside the function."""
        node.decorator_list = [self.expression(d) for d in node.decorator_list]
        node.args.defaults = [self.expression(d) for d in node.args.defaults]
        node.args.kw_defaults = [d and self.expression(d) for d in node.args.kw_defaults]
        inner = Converter(node, self.class_name, self.serial, self.visible)
        node.body = inner.converted()
        return node

    # --- constructs -----------------------------------------------------------------------------

    def construct(self, s: ast.stmt) -> tuple[list[ast.stmt], ast.expr]:
        """Definitions, and the expression that runs a statement and gives its signal."""
        if isinstance(s, ast.If):
            return self.branch(s)
        if isinstance(s, ast.While):
            return self.while_loop(s)
        if isinstance(s, ast.For):
            return self.for_loop(s)
        return self.guarded(s)

    def branch(self, s: ast.If) -> tuple[list[ast.stmt], ast.expr]:
        test = self.expression(s.test)
        out = self.with_hoisted([])
        defined, variables = self.variables([*s.body, *s.orelse], s, s)
        then = self.fresh("then")
        out += [*defined, self.function(then, s.body, s.body[0])]
        parts = [test, name(then), self.other(s.orelse, out), variables]
        return out, placed(call("branch", *parts), s.test)

    def other(self, body: list[ast.stmt], out: list[ast.stmt]) -> ast.expr:
        if not body:
            return ast.Constant(None)
        title = self.fresh("else")
        out.append(self.function(title, body, body[0]))
        return name(title)

    def while_loop(self, s: ast.While) -> tuple[list[ast.stmt], ast.expr]:
        head = self.liveness.head[id(s)]
        out, variables = self.variables([s.test, *s.body], s, s, head)
        test, body = self.fresh("test"), self.fresh("body")
        asked = [*self.scoping(scope.bound([s.test])), *self.returned(s.test)]
        out.append(placed(ast.FunctionDef(test, NO_ARGUMENTS, asked, [], None), s))
        out.append(self.function(body, s.body, s.body[0]))
        parts = [name(test), name(body), self.other(s.orelse, out), variables]
        parts.append(self.else_variables(s, out))
        return out, placed(call("while_loop", *parts), s.test)

    def else_variables(self, s: ast.While | ast.For, out: list[ast.stmt]) -> ast.expr:
        if not s.orelse:
            return ast.Constant(None)
        defined, variables = self.variables(s.orelse, s, s.orelse[0])
        out += defined
        return variables

    def returned(self, e: ast.expr) -> list[ast.stmt]:
        value = self.expression(e)
        return self.with_hoisted([placed(ast.Return(value), e)])

    def for_loop(self, s: ast.For) -> tuple[list[ast.stmt], ast.expr]:
        over = self.expression(s.iter)
        out = self.with_hoisted([])
        head = self.liveness.head[id(s)]
        defined, variables = self.variables([s.target, *s.body], s, s, head)
        body, item = self.fresh("body"), "jg_item"
        take = ast.copy_location(ast.Assign([s.target], name(item)), s.target)
        out += [*defined, self.function(body, [take, *s.body], s.target, item)]
        target = s.target.id if isinstance(s.target, ast.Name) else ""
        parts = [over, name(body), self.other(s.orelse, out), variables]
        parts += [self.else_variables(s, out), ast.Constant(target)]
        return out, placed(call("for_loop", *parts), s.iter)

    def guarded(self, s: ast.stmt) -> tuple[list[ast.stmt], ast.expr]:
        """`with`, `try` or `match` with blocks that jump: each block's signal is kept."""
        kept = self.fresh("signal")
        out: list[ast.stmt] = [_assign(kept, ast.Constant(None), s)]
        for part in (s, *getattr(s, "handlers", ()), *getattr(s, "cases", ())):
            if getattr(part, "body", None):
                part.body = self.kept_block(part.body, kept, out)
        if getattr(s, "orelse", None):
            self.after_try(s, kept, out)
        if getattr(s, "finalbody", None):
            if scope.jumps(s.finalbody):  # type: ignore[attr-defined]
                raise Unsupported("it jumps out of a `finally`", "jump after the `finally`")
            s.finalbody = self.block(s.finalbody)  # type: ignore[attr-defined]
        for item in getattr(s, "items", ()):
            self.expressions.visit(item)
        if isinstance(s, ast.Match):
            s.subject = self.expression(s.subject)
        self.guards(s)
        self.catching(s)
        return [*self.with_hoisted([]), *out, s], name(kept)

    def catching(self, s: ast.stmt) -> None:
        """The trace knows what the handlers of a `try` are for; they are not for its own errors."""
        if not isinstance(s, ast.Try) or not s.handlers or self.keeps:
            return
        kinds = [h.type or name("BaseException") for h in s.handlers]
        known = call("Catching", thunk(ast.Tuple(kinds, ast.Load())))
        s.body = [placed(ast.With([ast.withitem(known)], s.body), s)]
        refused = ast.Attribute(name(RUN), "REFUSED", ast.Load())
        passed = placed(ast.ExceptHandler(refused, None, [ast.Raise()]), s)
        s.handlers.insert(0, passed)

    def kept_block(self, body: list[ast.stmt], kept: str, out: list[ast.stmt]) -> list[ast.stmt]:
        title = self.fresh("block")
        out.append(self.function(title, body, body[0]))
        return [_assign(kept, ast.Call(name(title), [], []), body[0])]

    def after_try(self, s: ast.stmt, kept: str, out: list[ast.stmt]) -> None:
        body: list[ast.stmt] = s.orelse  # type: ignore[attr-defined]
        title, (defined, variables) = self.fresh("block"), self.variables(body, body[-1], body[0])
        out += [*defined, self.function(title, body, body[0])]
        after = call("then", name(kept), name(title), variables)
        s.orelse = [_assign(kept, after, body[0])]  # type: ignore[attr-defined]


def _constants(values: Sequence[object]) -> ast.expr:
    return ast.Tuple([ast.Constant(v) for v in values], ast.Load())  # type: ignore[arg-type]


def _assign(title: str, value: ast.expr, at: ast.stmt) -> ast.stmt:
    return placed(ast.Assign([ast.Name(title, ast.Store())], value), at)
