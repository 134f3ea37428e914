"""Programs written at random: loops, branches, jumps, several names of one Tensor, writes in place.

A program is a function of a scalar, a vector of four and an int Tensor. `written` decides by a
`random.Random`, so that any number of programs can be made, and Hypothesis can shrink one.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from random import Random

import jitgrad as ms
from jitgrad import Tensor, ops

SCALARS, VECTORS, KEYS = ("a", "b", "c"), ("v", "w"), ("p", "q")
HEAD = """\
def program(a, x, k):
    a, b = a * 1.0, a * 0.5
    c, v = x.sum() * 0.1, x * 1.0
    w, n, f = x * 0.3, 2, 0.5
    items, d = [a * 0.7, b + 0.21], {"p": c * 1.0, "q": a + c}
"""
TAIL = """\
    total = a + b * c + (v * v).sum() + (v * w).sum() + n * 0.1 + f
    return total + items[0] * 0.3 + items[1] * d["p"] + d["q"]
"""
serial = itertools.count()


class Writer:
    """Writes one program, statement by statement."""

    def __init__(self, random: Random):
        self.random = random
        self.lines: list[str] = []
        self.counters = 0

    def one_of(self, *choices: str) -> str:
        return choices[self.random.randrange(len(choices))]

    def often(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def fresh(self, stem: str) -> str:
        self.counters += 1
        return f"{stem}{self.counters}"

    # --- expressions ----------------------------------------------------------------------------

    def literal(self) -> str:
        return self.one_of("0.3", "-1.5", "-0.7", "0.9", "1.1", "2.2")

    def at(self, indices: tuple[str, ...]) -> str:
        return self.one_of("0", "1", "2", "3", "n % 4", *indices, *indices)

    def held(self, indices: tuple[str, ...]) -> str:
        """Where a scalar Tensor is."""
        kind = self.one_of("name", "name", "name", "list", "dict", "element")
        if kind == "list":
            return f"items[{self.one_of('0', '1', '-1')}]"
        if kind == "dict":
            return f'd["{self.one_of(*KEYS)}"]'
        if kind == "element":
            return f"{self.one_of(*VECTORS)}[{self.at(indices)}]"
        return self.one_of(*SCALARS)

    def value(self, indices: tuple[str, ...], depth: int = 2) -> str:
        """A scalar."""
        kind = self.one_of(
            "held", "held", "sum", "product", "tanh", "choice", "index", "number", "reduced"
        )
        if depth == 0 or kind == "held":
            return self.held(indices)
        inner = self.value(indices, depth - 1)
        if kind == "index" and indices:
            return f"({inner} * 0.5 + {self.one_of(*indices)} * 0.1)"
        if kind == "number":
            return f"({inner} * {self.one_of('n', 'f', 'min(n, 3)', 'int(f * 3)')} * 0.2)"
        if kind == "sum":
            return f"({inner} + {self.one_of(self.literal(), self.value(indices, depth - 1))})"
        if kind == "product":
            return f"({inner} * {self.literal()})"
        if kind == "choice":
            return f"({inner} if {self.test(indices)} else {self.value(indices, depth - 1)}) * 1.0"
        if kind == "reduced":
            return self.one_of(
                "sum([q * 0.3 for q in items])", "ops.stack([q * q for q in v]).sum()",
                f"sum(q * r for q, r in zip({self.one_of(*VECTORS)}, items))", "max(items[0], b)",
                f"ops.stack([q * j for j, q in enumerate(w)])[{self.at(indices)}]",
                f"sum([v[j] * {self.one_of(*SCALARS)} for j in range(3) if j != 1])",
            )  # fmt: skip
        return f"ops.tanh({inner})"

    def test(self, indices: tuple[str, ...]) -> str:
        left = f"{self.value(indices, 1)} {self.one_of('<', '>')} {self.literal()}"
        join = self.one_of("", "", "and", "or", "not", "chain", "any", "number", "known")
        if join == "not":
            return f"not {left}"
        if join == "chain":
            return f"-1.3 < {self.one_of(*SCALARS)} < {self.literal()}"
        if join == "any":
            return f"{self.one_of('any', 'all')}(q > {self.literal()} for q in items)"
        if join == "number":
            return self.one_of("n > 3", "n % 2 == 0", "f < 0.7", "n in (2, 5)", "k > n")
        if join == "known":
            return self.one_of(*[f"{i} % 2 == 1" for i in indices], "len(items) == 2")
        return left + (f" {join} {self.one_of(*SCALARS)} > {self.literal()}" if join else "")

    # --- statements -----------------------------------------------------------------------------

    def block(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        for _ in range(1 + self.random.randrange(3)):
            self.statement(pad, depth, indices, looped)

    def statement(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        kinds = ["assign", "alias", "augment", "write", "number", "assign", "augment"]
        kinds += ["if", "if", "for", "for", "while", "return", "inner"] if depth else []
        kinds += ["break", "continue"] if looped else []
        kind = self.one_of(*kinds)
        if kind in ("if", "for", "while", "inner"):
            getattr(self, f"{kind}_")(pad, depth - 1, indices, looped)
        elif kind in ("break", "continue", "return"):
            what = f"return {self.held(indices)} + v.sum()" if kind == "return" else kind
            self.lines += [f"{pad}if {self.test(indices)}:", f"{pad}    {what}"]
        else:
            self.lines.append(pad + getattr(self, kind)(indices))

    def assign(self, indices: tuple[str, ...]) -> str:
        value = self.value(indices)
        value = f"ops.tanh({value})" if self.often(40) else f"{value} * 0.6"
        place = self.held(indices)
        if self.often(20):
            return f"{self.one_of(*VECTORS)} = {self.one_of('v', 'w')} * {value}"
        return f"{place} = {value}"

    def alias(self, indices: tuple[str, ...]) -> str:
        a, b = self.one_of(*SCALARS), self.one_of(*SCALARS)
        return self.one_of(
            f"{a} = {b}", f"{a}, {b} = {b}, {a}", f"{self.held(indices)} = {a}",
            f"{a} = {self.held(indices)}", "v = w", "w = v", "v, w = w, v",
            f"items = [{a}, {b}]", f"items[0], items[1] = items[1], {a}", "items.reverse()",
            f"items.append({a}); items.pop(0)", f'd = {{"p": {a}, "q": {b}}}',
            f'd.update(p={a})', f"pair = ({a}, {b}); {b} = pair[0]", f"{a} = {b} = {a} * 0.5",
        )  # fmt: skip

    def augment(self, indices: tuple[str, ...]) -> str:
        if self.often(25):
            how = self.one_of("*= 0.9", "+= 0.1", f"-= {self.value(indices, 1)} * 0.1")
            return f"{self.one_of(*VECTORS)} {how}"
        sign = self.one_of("+=", "-=")
        return f"{self.held(indices)} {sign} {self.value(indices, 1)} * 0.2"

    def write(self, indices: tuple[str, ...]) -> str:
        name, value = self.one_of(*VECTORS), f"ops.tanh({self.value(indices)})"
        kind = self.one_of("element", "element", "slice", "mask", "all")
        if kind == "slice":
            return f"{name}[{self.one_of('1:3', ':2', '::2', '-2:')}] = {value}"
        if kind == "mask":
            return f"{name}[{name} > {self.literal()}] = 0.5"
        return f"{name}[{':' if kind == 'all' else self.at(indices)}] = {value}"

    def number(self, indices: tuple[str, ...]) -> str:
        return self.one_of(
            "n += 1", "n = n * 3 % 7", "f = f * 0.5 + 0.1", "f = n / 4", "n -= 1", "f += 0.25"
        )

    def if_(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        self.lines.append(f"{pad}if {self.test(indices)}:")
        self.block(pad + "    ", depth, indices, looped)
        if self.often(25):
            self.lines.append(f"{pad}elif {self.test(indices)}:")
            self.block(pad + "    ", depth, indices, looped)
        if self.often(50):
            self.lines.append(f"{pad}else:")
            self.block(pad + "    ", depth, indices, looped)

    def for_(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        i, r = self.fresh("i"), self.fresh("r")
        small, wide = (*indices, i), (*indices, f"({i} % 4)")
        rows = self.one_of(*VECTORS)
        head, inner = [
            (f"{i} in range(3)", small), (f"{i} in range(4)", small), (f"{i} in range(12)", wide),
            (f"{i} in range(1, 24, 2)", wide), (f"{i} in reversed(range(10))", wide),
            (f"{i} in range(n % 5)", small), (f"{i} in range(k)", wide),
            (f"{i} in range(n, k)", wide), (f"{r} in {rows}", indices), (f"{r} in items", indices),
            (f"{i}, {r} in enumerate({rows})", small), (f"{i}, {r} in enumerate(items)", small),
            (f"{r}, {r}_ in zip(v, w)", indices), (f"{r}, {i} in zip(items, range(9))", small),
            (f"{i}, {r} in zip(range(11), ops.tile(v, (3,)))", wide),
            (f"{i}, {r} in enumerate(ops.tile(w, (3,)))", wide),
            (f"{r} in ops.tile({rows}, (3,))", indices), (f"{r} in d.values()", indices),
            (f"{r}, {r}_ in d.items()", indices), (f"{r} in (a, b, c)", indices),
            (f"{r} in [a * {i} for {i} in range(10)]", indices),
            (f"{r} in list(items)", indices),
        ][self.random.randrange(22)]  # fmt: skip
        self.lines.append(f"{pad}for {head}:")
        if head.startswith(r) or f", {r} " in head:
            used = f'd["{r}"] if False else d[{r}]' if f"{r}, {r}_ in d" in head else r
            used = f"{r}_" if f"{r}, {r}_ in" in head else used
            self.lines.append(
                pad + "    " + self.one_of(f"c = c * 0.5 + {used} * 0.1", f"b = {used} * 0.8")
            )
        self.block(pad + "    ", depth, inner, True)
        self.otherwise(pad, depth, indices, looped)

    def while_(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        more, i = pad + "    ", self.fresh("i")
        self.lines.append(f"{pad}{i} = {self.one_of('0', 'Tensor(0, ms.int32)', 'n % 3')}")
        test = self.one_of(f"({self.test(indices)})", "True", f"not ({self.test(indices)})")
        self.lines.append(f"{pad}while {i} < {self.one_of('5', '11')} and {test}:")
        self.lines.append(f"{more}{i} = {i} + 1")
        self.block(more, depth, (*indices, f"({i} % 4)"), True)
        self.otherwise(pad, depth, indices, looped)

    def otherwise(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        """The `else` of a loop."""
        if self.often(20):
            self.lines.append(f"{pad}else:")
            self.block(pad + "    ", depth, indices, looped)

    def inner_(self, pad: str, depth: int, indices: tuple[str, ...], looped: bool) -> None:
        """A function inside, and a call of it."""
        h, more = self.fresh("h"), pad + "    "
        self.lines += [f"{pad}def {h}(p, q=0.5):"]
        if self.often(50):
            self.lines.append(f"{more}nonlocal {self.one_of(*SCALARS, 'v', 'items')}")
            name = self.lines[-1].split()[-1]
            changed = {"v": "v * 0.9", "items": "[items[1], p]"}.get(name, f"{name} * 0.7 + p")
            self.lines.append(f"{more}{name} = {changed}")
        if self.often(40):
            self.lines.append(f"{more}if {self.one_of('p', 'q + p')} > {self.literal()}:")
            self.lines.append(f"{more}    return p * {self.literal()}")
        if self.often(30):
            self.lines.append(f"{more}p = p * 0.5 + q")
        self.lines.append(f"{more}return {self.one_of('p + q', 'p * f', 'p - items[0]', 'p')}")
        call = f"{h}({self.value(indices, 1)}{self.one_of('', ', 0.3', ', q=a')})"
        self.lines.append(f"{pad}{self.one_of(*SCALARS)} = {call} * 0.8")


def written(random: Random, depth: int = 3) -> tuple[Callable, str]:
    """A program, and its source. `depth`: of statements in statements."""
    writer = Writer(random)
    writer.block("    ", depth, (), False)
    return compiled_from(HEAD + "\n".join(writer.lines) + "\n" + TAIL)


def compiled_from(source: str) -> tuple[Callable, str]:
    """The function of that source, which can be read again."""
    path = f"<generated {next(serial)}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    namespace = {"ops": ops, "ms": ms, "Tensor": Tensor}
    exec(compile(source, path, "exec"), namespace)
    return namespace["program"], source
