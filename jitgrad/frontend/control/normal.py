"""Statements brought into a form that is easier to convert and means the same.

- What follows an `if` of which one branch always jumps moves into its other branch, so that an
  early `return`, `break`, `continue` or `raise` is a choice between two blocks.
- A function that returns somewhere inside returns explicitly at its end.
- A `while` whose condition binds names asks it in its body.
- `assert` is an `if` with a `raise`; `match` is a chain of `if`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from jitgrad.frontend.control.scope import LOOPS, TRY_STAR, bound, jumps, never_ends


def normalized(body: list[ast.stmt], fresh: Callable[[str], str]) -> list[ast.stmt]:
    """The body of a function in this form; `fresh` makes new names."""
    inside = any(ast.Return in jumps([s]) for s in body if not isinstance(s, ast.Return))
    if inside and not never_ends(body):
        end = ast.Return(ast.Constant(None))
        body = [*body, ast.copy_location(end, body[-1])]
    return _block(body, fresh)


def _block(statements: list[ast.stmt], fresh: Callable[[str], str]) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    pending = list(statements)
    while pending:
        s = pending.pop(0)
        if isinstance(s, ast.Assert) and __debug__:
            s = _assertion(s)
        if isinstance(s, ast.While) and bound([s.test]):
            s = _left_inside(s)
        if isinstance(s, ast.Match) and not _is_ours(s):
            first, s = _chain(s, fresh)
            out.append(first)
        if isinstance(s, ast.If) and pending:
            then, other = never_ends(s.body), never_ends(s.orelse)
            if then and not other:
                s.orelse, pending = s.orelse + pending, []
            elif other and not then:
                s.body, pending = s.body + pending, []
        _inside(s, fresh)
        out.append(s)
    return out


def _inside(s: ast.stmt, fresh: Callable[[str], str]) -> None:
    if not isinstance(s, (ast.If, *LOOPS, ast.With, ast.AsyncWith, ast.Try, *TRY_STAR, ast.Match)):
        return
    for part in ("body", "orelse", "finalbody"):
        if getattr(s, part, None):
            setattr(s, part, _block(getattr(s, part), fresh))
    for part in (*getattr(s, "handlers", ()), *getattr(s, "cases", ())):
        part.body = _block(part.body, fresh)


def _assertion(s: ast.Assert) -> ast.stmt:
    error = ast.Name("AssertionError", ast.Load())
    raised = ast.Call(error, [s.msg] if s.msg else [], [])
    test = ast.UnaryOp(ast.Not(), s.test)
    new = ast.If(test, [ast.copy_location(ast.Raise(raised, None), s)], [])
    return ast.copy_location(new, s)


def _left_inside(s: ast.While) -> ast.While:
    """A `while` whose condition binds names, which have them when it does not hold, too: its
    condition is asked in its body.
    """
    if not jumps(s.orelse).isdisjoint((ast.Break, ast.Continue)):
        return s  # of a loop around it
    test = ast.copy_location(ast.UnaryOp(ast.Not(), s.test), s.test)
    leave = ast.If(test, [*s.orelse, ast.Break()], [])
    new = ast.While(ast.Constant(True), [ast.copy_location(leave, s.test), *s.body], [])
    return ast.copy_location(new, s)


# --- match --------------------------------------------------------------------------------------


def _is_plain(pattern: ast.pattern) -> bool:
    """A value, a capture or a wildcard: what `==` decides."""
    if isinstance(pattern, ast.MatchOr):
        return all(isinstance(p, (ast.MatchValue, ast.MatchSingleton)) for p in pattern.patterns)
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None
    return isinstance(pattern, (ast.MatchValue, ast.MatchSingleton))


def _is_ours(s: ast.Match) -> bool:
    """Whether `_structural` made it."""
    return isinstance(s.subject, ast.Name) and s.subject.id.startswith("jg_")


def _chain(s: ast.Match, fresh: Callable[[str], str]) -> tuple[ast.stmt, ast.stmt]:
    """The subject in a new name, and the cases as `if` statements."""
    subject = fresh("subject")
    first = ast.Assign([ast.Name(subject, ast.Store())], s.subject)
    chain: list[ast.stmt] = []
    for case in reversed(s.cases):
        chain = _case(case, subject, chain, fresh)
    whole = chain[0] if len(chain) == 1 else ast.If(ast.Constant(True), chain, [])
    return ast.copy_location(first, s), ast.copy_location(whole, s)


def _case(
    case: ast.match_case, subject: str, otherwise: list[ast.stmt], fresh: Callable[[str], str]
) -> list[ast.stmt]:
    pattern, body = case.pattern, case.body
    tests, bind = [], []
    if not _is_plain(pattern):
        bind, tests = _structural(pattern, subject, fresh)
    elif not isinstance(pattern, ast.MatchAs):
        tests = [_test(pattern, subject)]
    elif pattern.name:
        bind = [ast.Assign([ast.Name(pattern.name, ast.Store())], ast.Name(subject, ast.Load()))]
    tests += [case.guard] if case.guard else []
    bind = [ast.copy_location(s, pattern) for s in bind]
    if not tests:
        return [*bind, *body]
    test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
    return [*bind, ast.copy_location(ast.If(test, body, otherwise), pattern)]


def _structural(
    pattern: ast.pattern, subject: str, fresh: Callable[[str], str]
) -> tuple[list[ast.stmt], list[ast.expr]]:
    """A pattern that only `match` itself understands: the statements that bind its names, and the
    tests whether it fits. Values in it, which may be traced, are compared behind it.
    """
    matched, values = fresh("matched"), _Values(fresh)
    pattern = values.visit(pattern)
    none, found = (
        ast.Assign([ast.Name(matched, ast.Store())], ast.Constant(fits)) for fits in (False, True)
    )
    match = ast.Match(ast.Name(subject, ast.Load()), [ast.match_case(pattern, None, [found])])
    return [none, match], [ast.Name(matched, ast.Load()), *values.tests]


class _Values(ast.NodeTransformer):
    """Gives the values in a pattern names, and keeps the tests of these."""

    def __init__(self, fresh: Callable[[str], str]):
        self.fresh, self.tests = fresh, []

    def visit_MatchValue(self, pattern: ast.pattern) -> ast.pattern:
        name = self.fresh("value")
        self.tests.append(_test(pattern, name))
        return ast.copy_location(ast.MatchAs(None, name), pattern)

    def visit_MatchOr(self, pattern: ast.MatchOr) -> ast.pattern:
        return self.visit_MatchValue(pattern) if _is_plain(pattern) else pattern


def _test(pattern: ast.pattern, subject: str) -> ast.expr:
    if isinstance(pattern, ast.MatchOr):
        return ast.copy_location(
            ast.BoolOp(ast.Or(), [_test(p, subject) for p in pattern.patterns]), pattern
        )
    given = ast.Name(subject, ast.Load())
    if isinstance(pattern, ast.MatchSingleton):
        test = ast.Compare(given, [ast.Is()], [ast.Constant(pattern.value)])
    else:
        assert isinstance(pattern, ast.MatchValue)
        test = ast.Compare(given, [ast.Eq()], [pattern.value])
    return ast.copy_location(test, pattern)
