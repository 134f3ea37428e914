"""Statements brought into a form that is easier to convert and means the same.

- What follows an `if` of which one branch always jumps moves into its other branch, so that an
  early `return`, `break`, `continue` or `raise` is a choice between two blocks.
- A function that returns somewhere inside returns explicitly at its end.
- A `while` whose condition binds names asks it in its body.
- `assert` is an `if` with a `raise`; `match` on plain values is a chain of `if`.
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
        if isinstance(s, ast.Match) and all(_is_plain(c.pattern) for c in s.cases):
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
    return ast.fix_missing_locations(ast.copy_location(new, s))


def _left_inside(s: ast.While) -> ast.While:
    """A `while` whose condition binds names, which have them when it does not hold, too: its
    condition is asked in its body.
    """
    if not jumps(s.orelse).isdisjoint((ast.Break, ast.Continue)):
        return s  # of a loop around it
    test = ast.copy_location(ast.UnaryOp(ast.Not(), s.test), s.test)
    leave = ast.If(test, [*s.orelse, ast.Break()], [])
    new = ast.While(ast.Constant(True), [ast.copy_location(leave, s.test), *s.body], [])
    return ast.fix_missing_locations(ast.copy_location(new, s))


# --- match --------------------------------------------------------------------------------------


def _is_plain(pattern: ast.pattern) -> bool:
    """A value, a capture or a wildcard: what `==` decides."""
    if isinstance(pattern, ast.MatchOr):
        return all(isinstance(p, (ast.MatchValue, ast.MatchSingleton)) for p in pattern.patterns)
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None
    return isinstance(pattern, (ast.MatchValue, ast.MatchSingleton))


def _chain(s: ast.Match, fresh: Callable[[str], str]) -> tuple[ast.stmt, ast.stmt]:
    """The subject in a new name, and the cases as `if` statements."""
    subject = fresh("subject")
    first = ast.Assign([ast.Name(subject, ast.Store())], s.subject)
    chain: list[ast.stmt] = []
    for case in reversed(s.cases):
        chain = _case(case, subject, chain)
    whole = chain[0] if len(chain) == 1 else ast.If(ast.Constant(True), chain, [])
    return tuple([ast.fix_missing_locations(ast.copy_location(n, s)) for n in (first, whole)])  # type: ignore[return-value]


def _case(case: ast.match_case, subject: str, otherwise: list[ast.stmt]) -> list[ast.stmt]:
    pattern, body = case.pattern, case.body
    name = pattern.name if isinstance(pattern, ast.MatchAs) else None
    bind: list[ast.stmt] = []
    if name:
        given = ast.Name(subject, ast.Load())
        bind = [ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], given), pattern)]
    tests = [] if isinstance(pattern, ast.MatchAs) else [_test(pattern, subject)]
    if case.guard and bind:
        inner = ast.copy_location(ast.If(case.guard, body, otherwise), pattern)
        return [*bind, inner]
    tests += [case.guard] if case.guard else []
    if not tests:
        return [*bind, *body]
    test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
    return [ast.copy_location(ast.If(test, body, otherwise), pattern)]


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
