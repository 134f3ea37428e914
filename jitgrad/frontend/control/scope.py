"""Which names a piece of code binds and reads, which are live, and which may be unbound.

Classical analyses over the syntax tree of one function, all erring to the safe side: a name that a
closure reads is live everywhere, and what is bound in a `try` may be unbound after it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS = (ast.For, ast.While, ast.AsyncFor)
Names = frozenset[str]
NONE: Names = frozenset()
# Fields without nodes, or with those of operators and contexts, which nobody asks for.
PLAIN = {"ctx", "op", "ops", "id", "attr", "arg", "kind", "conversion", "is_async", "type_comment"}


@functools.cache
def _parts(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields in which nodes of a kind may have others."""
    return tuple([f for f in kind._fields if f not in PLAIN])


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, operators and contexts left out."""
    found: list[ast.AST] = []
    for part in _parts(type(node)):
        value = getattr(node, part, None)
        if isinstance(value, list):
            found += [x for x in value if isinstance(x, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node)


def walk_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of this scope: nested functions and classes are listed, and not entered."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, SCOPES):
            stack += getattr(node, "decorator_list", [])
            if not isinstance(node, ast.ClassDef):
                stack += [d for d in (*node.args.defaults, *node.args.kw_defaults) if d]
        else:
            stack += children(node)


def bound(nodes: Iterable[ast.AST]) -> Names:
    """The names that code binds or deletes in its own scope; comprehensions have their own."""
    inside = list(walk_scope(nodes))
    targets = [n.target for n in inside if isinstance(n, ast.comprehension)]
    hidden = {id(n) for target in targets for n in walk(target)}
    found: set[str] = set()
    for node in inside:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and id(node) not in hidden:
                found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {a.asname or a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
    return frozenset(found)


def read(nodes: Iterable[ast.AST]) -> Names:
    """The names that code reads, nested functions and classes included; not those of items in
    comprehensions, which are others.
    """
    found: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                found.add(node.id)
        elif isinstance(node, COMPREHENSIONS):
            first = node.generators[0]
            stack.append(first.iter)
            targets = [n for part in node.generators for n in walk(part.target)]
            inside = [x for x in children(node) if x is not first]
            found |= read([*inside, first.target, *first.ifs]) - {
                n.id for n in targets if isinstance(n, ast.Name)
            }
        else:
            stack += children(node)
    return frozenset(found)


def captured(body: Iterable[ast.AST], *others: type[ast.AST]) -> Names:
    """The names that nested functions, classes and other nodes read: they may do so at any time."""
    found: set[str] = set()
    for statement in body:
        for node in walk(statement):
            if isinstance(node, (*SCOPES, *others)):
                found |= read([node])
                found |= {n for d in walk(node) if isinstance(d, ast.Nonlocal) for n in d.names}
    return frozenset(found)


def declared(body: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> Names:
    """The names in `global` or `nonlocal` statements of this scope."""
    return frozenset(n for d in walk_scope(body) if isinstance(d, kind) for n in d.names)


# --- liveness -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Exits:
    """What is live where a jump leads to."""

    leave: Names  # of `return` and `raise`
    loop: Names = NONE  # of `break`
    again: Names = NONE  # of `continue`


@dataclass(slots=True)
class Liveness:
    """By the id of a compound statement: the names live after it, wherever it jumps to, where its
    function has returned, and at a loop's head.

    `always` are live everywhere.
    """

    always: Names
    after: dict[int, Names] = field(default_factory=dict)
    head: dict[int, Names] = field(default_factory=dict)
    jumped: dict[int, Names] = field(default_factory=dict)  # live where its jumps lead to
    returned: dict[int, Names] = field(default_factory=dict)

    def block(self, statements: list[ast.stmt], live: Names, exits: Exits) -> Names:
        """What is live before a block, given what is after it."""
        for statement in reversed(statements):
            self.jumped[id(statement)] = targets = self.targets(statement, exits)
            self.returned[id(statement)] = exits.leave
            self.after[id(statement)] = live | targets | self.always
            live = self.statement(statement, live, exits)
        return live

    def targets(self, s: ast.stmt, exits: Exits) -> Names:
        """What is live where the jumps inside of a statement lead to."""
        kinds = jumps([s]) if isinstance(s, (ast.If, *LOOPS, *GUARDED)) else ()
        by_kind = {ast.Return: exits.leave, ast.Break: exits.loop, ast.Continue: exits.again}
        return NONE.union(*[by_kind[kind] for kind in kinds])

    def statement(self, s: ast.stmt, live: Names, exits: Exits) -> Names:
        if isinstance(s, ast.Return):
            return exits.leave | read([s])
        if isinstance(s, ast.Raise):
            return exits.leave | read([s]) | live  # a handler may go on
        if isinstance(s, ast.Break):
            return exits.loop
        if isinstance(s, ast.Continue):
            return exits.again
        if isinstance(s, ast.If):
            either = self.block(s.body, live, exits) | self.block(s.orelse, live, exits)
            return either | read([s.test])
        if isinstance(s, LOOPS):
            return self.loop(s, live, exits)
        if isinstance(s, (ast.With, ast.AsyncWith)):
            inside = self.block(s.body, live, exits)
            return (inside - bound(s.items)) | read(s.items)
        if isinstance(s, (ast.Try, *TRY_STAR)):
            return self.trying(s, live, exits)
        if isinstance(s, ast.Match):
            cases = [self.block(c.body, live, exits) for c in s.cases]
            guards = read([c.pattern for c in s.cases] + [c.guard for c in s.cases if c.guard])
            return live.union(*cases) | read([s.subject]) | guards
        if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            return live | read([s.value]) | {s.target.id}
        return (live - bound([s])) | read([s])

    def loop(self, s: ast.For | ast.While | ast.AsyncFor, live: Names, exits: Exits) -> Names:
        behind = self.block(s.orelse, live, exits)
        test = read([s.test]) if isinstance(s, ast.While) else NONE
        head = behind | test
        for _ in range(2):  # what one iteration leaves for the next; twice reaches the fixed point
            inside = self.block(s.body, head, Exits(exits.leave, live, head))
            if not isinstance(s, ast.While):
                inside -= bound([s.target])
            head = head | inside
        self.head[id(s)] = head | self.always
        return head if isinstance(s, ast.While) else head | read([s.iter, s.target])

    def trying(self, s: ast.Try, live: Names, exits: Exits) -> Names:
        last = self.block(s.finalbody, live, exits)
        always = read(s.finalbody) | live
        out = Exits(exits.leave | always, exits.loop | always, exits.again | always)
        handlers = [
            self.block(h.body, last, out) | read([h.type] if h.type else []) for h in s.handlers
        ]
        caught = NONE.union(*handlers)
        other = self.block(s.orelse, last, out)
        out = Exits(out.leave | caught, out.loop, out.again)
        # An exception may leave any statement: what handlers read is live throughout the body.
        self.always, before = self.always | caught | always, self.always
        inside = self.block(s.body, other | caught, out)
        self.always = before
        return inside | caught | always


TRY_STAR: tuple[type, ...] = (ast.TryStar,) if hasattr(ast, "TryStar") else ()
GUARDED = (ast.With, ast.AsyncWith, ast.Try, *TRY_STAR, ast.Match)


# --- definite assignment ------------------------------------------------------------------------

EVERYTHING = None  # bound after a jump: nothing follows


@dataclass(slots=True)
class Assignment:
    """Finds the reads of local names (ids of their nodes) that may come before any binding."""

    local: Names
    unsure: set[int] = field(default_factory=set)

    def block(self, statements: list[ast.stmt], sure: Names) -> Names | None:
        """The names bound for sure after a block; None if its end is not reached."""
        now: Names | None = sure
        for statement in statements:
            if now is EVERYTHING:
                now = self.local
            now = self.statement(statement, now)
        return now

    def reads(self, nodes: Iterable[ast.AST | None], sure: Names) -> None:
        given = [n for n in nodes if n is not None]
        inner = {
            name.id
            for node in walk_scope(given)
            if isinstance(node, ast.comprehension)
            for name in walk(node.target)
            if isinstance(name, ast.Name)
        }
        for node in walk_scope(given):
            read_here = isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Load, ast.Del))
            if read_here and node.id in self.local and node.id not in sure | inner:
                self.unsure.add(id(node))

    def statement(self, s: ast.stmt, sure: Names) -> Names | None:
        if isinstance(s, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
            self.reads([s], sure)
            return EVERYTHING
        if isinstance(s, ast.If):
            self.reads([s.test], sure)
            return _both(self.block(s.body, sure), self.block(s.orelse, sure))
        if isinstance(s, LOOPS):
            self.reads([] if isinstance(s, ast.While) else [s.iter], sure)
            deleted = [d for d in walk_scope(s.body) if isinstance(d, ast.Delete)]
            sure = sure - bound(deleted)
            self.reads([s.test] if isinstance(s, ast.While) else [], sure)
            if isinstance(s, ast.While):
                self.block(s.body, sure)
            else:
                self.reads([s.target], sure)
                self.block(s.body, sure | bound([s.target]))
            forever = isinstance(s, ast.While) and _is_true(s.test)
            self.block(s.orelse, sure)
            return EVERYTHING if forever and not breaks(s.body) else sure
        if isinstance(s, (ast.With, ast.AsyncWith)):
            self.reads(s.items, sure)
            inside = self.block(s.body, sure | bound(s.items))
            return inside if inside is EVERYTHING else sure | bound(s.items)
        if isinstance(s, (ast.Try, *TRY_STAR)):
            return self.trying(s, sure)
        if isinstance(s, ast.Match):
            self.reads([s.subject], sure)
            for case in s.cases:
                with_names = sure | bound([case.pattern])
                self.reads([case.pattern, case.guard], with_names)
                self.block(case.body, with_names)
            return sure
        return self.simple(s, sure)

    def simple(self, s: ast.stmt, sure: Names) -> Names:
        self.reads_target(s, sure)
        self.reads([s], sure)
        if isinstance(s, ast.Delete):
            return sure - {t.id for t in s.targets if isinstance(t, ast.Name)}
        if isinstance(s, ast.AnnAssign) and s.value is None:
            return sure
        return sure | bound([s])

    def reads_target(self, s: ast.stmt, sure: Names) -> None:
        """``x += 1`` reads x, though it is a target."""
        target = s.target if isinstance(s, ast.AugAssign) else None
        if isinstance(target, ast.Name) and target.id in self.local and target.id not in sure:
            self.unsure.add(id(target))

    def trying(self, s: ast.Try, sure: Names) -> Names | None:
        inside = self.block(s.body, sure)
        ends = [self.block(s.orelse, self.local if inside is EVERYTHING else inside)]
        if inside is EVERYTHING:
            ends = [EVERYTHING]
        for handler in s.handlers:
            named = sure | ({handler.name} if handler.name else NONE)
            end = self.block(handler.body, named)
            ends.append(EVERYTHING if end is EVERYTHING else end - {handler.name})
        out = ends[0]
        for end in ends[1:]:
            out = _both(out, end)
        last = self.block(s.finalbody, sure)
        return EVERYTHING if out is EVERYTHING or last is EVERYTHING else out | last


def _both(a: Names | None, b: Names | None) -> Names | None:
    if a is EVERYTHING or b is EVERYTHING:
        return b if a is EVERYTHING else a
    return a & b


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


# --- jumps --------------------------------------------------------------------------------------


def jumps(statements: Iterable[ast.stmt]) -> set[type]:
    """Return, Break and Continue, as far as they lead out of the statements."""
    found: set[type] = set()
    stack: list[tuple[ast.AST, bool]] = [(s, False) for s in statements]
    while stack:
        node, looped = stack.pop()
        if isinstance(node, SCOPES):
            continue
        if isinstance(node, ast.Return) or (
            isinstance(node, (ast.Break, ast.Continue)) and not looped
        ):
            found.add(type(node))
        if isinstance(node, LOOPS):
            stack += [(n, True) for n in node.body] + [(n, looped) for n in node.orelse]
        elif isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            stack += [(n, looped) for n in children(node)]
    return found


def breaks(body: Iterable[ast.stmt]) -> bool:
    """Whether a loop's body breaks out of it."""
    return ast.Break in jumps(body)


def never_ends(statements: list[ast.stmt]) -> bool:
    """Whether the end of a block is never reached: each way through it jumps."""
    return any(_jumps_always(s) for s in statements)


def _jumps_always(s: ast.stmt) -> bool:
    if isinstance(s, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
        return True
    if isinstance(s, ast.If):
        return never_ends(s.body) and never_ends(s.orelse)
    if isinstance(s, ast.While):
        return _is_true(s.test) and not breaks(s.body)
    if isinstance(s, (ast.Try, *TRY_STAR)):
        caught = all(never_ends(h.body) for h in s.handlers)
        return never_ends(s.finalbody) or ((never_ends(s.body) or never_ends(s.orelse)) and caught)
    return False
