"""A grammar of Python with control flow, written in the Python that it makes.

``<scalar>`` stands for another rule, ``<block>`` for some statements. The first alternative of a
rule is its simplest. Numbers stay small, types stay what they are, and no loop is endless.
"""

from __future__ import annotations

# What a program begins with and ends with, of all the names that it uses.
STATE = {
    "b": ("a * 0.5", "b * a"), "c": ("x.sum() * 0.1", "c * 0.7"), "v": ("x * 1.0", "(v * v).sum()"),
    "w": ("x * 0.3", "(w * x).sum()"), "m": ("ops.stack([x, x * 0.5, x * x])", "(m * m).sum()"),
    "n": ("2", "n * 0.1"), "f": ("0.5", "f"), "z": ("k * 1", "z * 0.1"),
    "items": ("[a * 0.7, x[1] + 0.21]", "items[0] * 0.3 + items[1] * a"),
    "d": ('{"p": a * 1.0, "q": x[2] * 0.9}', 'd["q"] + d["p"] * a'),
    "pair": ("(a * 0.2, x[3] * 0.4)", "pair[0] - pair[1] * a"),
    "o": ("Body(a * 0.3, x * 0.5)", "o.s * a + (o.v * x).sum()"),
}  # fmt: skip

RULES: dict[str, str] = {
    # --- expressions: one alternative a line -----------------------------------------------------
    "name": "a\nb\nc",
    "vector": "v\nw\nv\nw\no.v\nm[<row>]",
    "literal": "0.3\n-0.7\n0.9\n1.1\n-1.5\n2.2",
    "row": "0\n1\n-1\nn % 3",
    "fixed": "0\n1\n2\n3\n-1\n-3",
    "key": "'p'\n'q'",
    "place": """
        <name>
        <name>
        items[<row2>]
        d[<key>]
        <flat>[<index>]
        m[<row>, <index>]
        o.s""",
    "flat": "v\nw\no.v",
    "row2": "0\n1\n-1\nn % 2",
    "scalar": """
        <name>
        <place>
        <extra>
        <name>
        pair[<row2>]""",
    "value": """
        <scalar>
        <scalar>
        (<value> + <literal>)
        (<value> * <literal>)
        (<value> - <value>)
        ops.tanh(<value>)
        (<value> if <test> else <value>) * 1.0
        (<value> * 0.5 + <index> * 0.1)
        (<value> * <number> * 0.2)
        <reduced> * 0.3
        <called>""",
    "number": "n\nf\nmin(n, 3)\nint(f * 3)\nmath.sqrt(abs(f))\nlen(items)\nabs(n - 3)\nround(f)\nz",
    "reduced": """
        <vector>.sum()
        sum(items)
        sum([q * 0.3 for q in items])
        ops.stack([q * q for q in v]).sum()
        sum(q * r for q, r in zip(<vector>, items))
        max(items[0], <name>)
        min(<name>, *items)
        abs(<scalar>)
        pow(<scalar>, 2)
        ops.stack([q * j for j, q in enumerate(w)])[<index>]
        sum([v[j] * <name> for j in range(3) if j != 1])
        sum(map(lambda q: q * <name>, items))
        functools.reduce(lambda q, r: q * 0.5 + r, [<name>, *items])
        list(itertools.accumulate(items))[-1]
        sum(q * r for q, r in itertools.product(items, pair))
        (<vector> @ <vector>)
        ops.where(<scalar> > <literal>, <name>, <value>)
        sum({key: q * 0.5 for key, q in d.items()}.values())
        <vector>[<slice>].sum()
        m[:, <index>].sum()
        m[<row>, <slice>].sum()
        <flat>[[0, 2, <fixed>]].sum()""",
    "called": """
        mix(<scalar>, <scalar>)
        mix(<scalar>, q=<scalar>)
        mix(*items)
        mix(**d)
        mix(*pair, <scalar>, scale=0.3)
        power(<scalar>, <fixed2>)
        shrink(<scalar>)
        sum(halves(<scalar>, 3))
        o.mixed(<scalar>)
        (lambda q, r=<name>: q * 0.5 + r)(<scalar>)
        functools.partial(mix, <scalar>)(q=<name>)""",
    "fixed2": "0\n2\n3\nn % 4",
    "index": "<fixed>\n<loop>\n<loop>\n<loop>\nn % 4\nz % 4\n<loop>",
    "slice": "1:3\n:2\n::2\n-2:\n::-1\nn % 3:n % 3 + 2\nz % 3:z % 3 + 2",
    "test": """
        <scalar> > <literal>
        <scalar> < <literal>
        <value> < <literal>
        <value> > <scalar>
        not <scalar> > <literal>
        -1.3 < <scalar> < <literal>
        <scalar> > <literal> and <name> < <literal>
        <scalar> > <literal> or <test>
        n > 3 and <scalar> > <literal>
        any(q > <literal> for q in items)
        all(q > <literal> for q in <vector>)
        n % 2 == 0
        f < 0.7
        n in (2, 5)
        k > n
        z % 3 == 1
        <index> == 1
        <index> % 2 == 1 and <scalar> > <literal>
        len(items) == 2
        isinstance(<name>, Tensor)
        (<vector> > <literal>).any()
        (q := <scalar> * 0.5) > <literal> or q < -0.5
        bool(<scalar> > <literal>)""",
    # --- statements of a line --------------------------------------------------------------------
    "line": """
        <place> = ops.tanh(<value>)
        <place> = <value> * 0.6
        <place> += <value> * 0.2
        <place> -= <value> * 0.2
        <place> *= 0.8
        <vector2> = <vector> * ops.tanh(<value>)
        <vector2> = <vector> * 0.7 + <scalar> * 0.1
        <vector2> *= 0.9
        <vector2> -= <value> * 0.1
        <vector>[<slice>] = ops.tanh(<value>)
        <vector>[<slice>] += <value> * 0.1
        <vector>[<slice>] *= 0.9
        <vector>[:] = ops.tanh(<value>)
        <flat>[<flat> > <literal>] = 0.5
        <flat>[[0, <index>]] = <value> * 0.5
        <flat>[<index>], <flat>[<index>] = <value> * 0.5, <scalar> * 1.0
        m[<row>] = <vector> * 0.8
        m[:, <index>] *= 0.7
        m[<row>, <slice>] = <value> * 0.5
        m = m * 0.9
        m[1:] = m[:-1] * 0.9
        <name> = <name>
        <name>, <name> = <name>, <name>
        <place> = <name>
        <name> = <place>
        v, w = w, v
        w = v
        items = [<name>, <name>]
        items[0], items[1] = items[1], <name>
        items.reverse()
        items.append(<name>); items.pop(0)
        items.insert(0, <scalar> * 0.5); del items[-1]
        items += [<name>]; items = items[1:]
        items[:] = [q * 0.8 for q in items]
        <name>, *items = [*items, <name>]
        d = {"p": <name>, "q": <name>}
        d.update(p=<name>)
        d[<key>] += <value> * 0.1
        d = {key: q * 0.9 for key, q in d.items()}
        d["p"] = d.pop("q"); d["q"] = <value> * 0.5
        d.setdefault("r", <name>); del d["r"]
        d = dict(zip(d, items))
        pair = (<name>, <value> * 0.5)
        pair = pair[::-1]
        <name>, <name> = pair
        <name> = <name> = <name> * 0.5
        o.s = <value> * 0.5
        o.s += <value> * 0.1
        o.v = <vector> * 0.9
        o.turn(<scalar>)
        o = Body(<scalar> * 0.5, <vector> * 1.0)
        n += 1
        n = n * 3 % 7
        n -= 1
        n = int(z) % 5
        n, f = n // 2, n / 4
        f = f * 0.5 + 0.1
        z = z + 1
        z += n
        z = z * 3 % 7
        z, n = z // 2, n + 1
        assert <scalar> < 50.0, "large"
        if <test>: <name> = <value> * 0.5""",
    "vector2": "v\nw\nv\nw\no.v",
    # --- statements of several lines, which a blank line ends ------------------------------------
    "compound": """
if <test>:
    <block>

if <test>:
    <block>
else:
    <block>

if <test>:
    <block>
elif <test>:
    <block>
else:
    <block>

for <loop over> in range(<few>):
    <block>

for <loop over> in range(4):
    <block>

for <far> in range(12):
    <block>

for <far> in range(1, 24, 2):
    <block>

for <far> in reversed(range(10)):
    <block>

for <far> in range(k):
    <block>
else:
    <block>

for <far> in range(n, k):
    <block>

for <far> in range(10 + n % 2):
    <block>

for <far> in range(z % 4, 9, 2):
    <block>

for <far> in range(9, z % 4, -1):
    <block>

for <item> in <vector>:
    <block>

for <item> in items:
    <block>

for <item> in (a, b, c):
    <block>

for <item> in list(items):
    <block>

for <item> in d.values():
    <name> = <name> * 0.5 + <extra> * 0.1

for key, <item> in list(d.items()):
    d[key] = <extra> * 0.9
    <block>

for <item> in ops.tile(<vector>, (3,)):
    <block>

for <loop over>, <item> in enumerate(<vector>):
    <block>

for <loop over>, <item> in enumerate(items, 1):
    <block>

for <item>, <item> in zip(v, w):
    <block>

for <item>, <loop over> in zip(items, range(9)):
    <block>

for <far>, <item> in zip(range(11), ops.tile(v, (3,))):
    <block>

for <far>, <item> in enumerate(ops.tile(w, (3,))):
    <block>

for <item> in [a * q for q in range(10)]:
    <block>

for <item> in map(ops.tanh, items):
    <block>

for <item> in halves(<scalar>, 3):
    <block>

for <item>, <item> in itertools.pairwise([a, b, c]):
    <block>

for <rows> in m:
    <rows>[<index>] = <value> * 0.5
    <block>

<turns> = 0
while <test>:
    <turns> += 1
    if <turns> > 5: break
    <block>

<turns> = 0
while <turns> < 11 and (<test>):
    <turns> = <turns> + 1
    <block>

<turns> = Tensor(0, ms.int32)
while <turns> < 11 and not (<test>):
    <turns> += 1
    <block>
else:
    <block>

<turns> = n % 3
while True:
    <turns> += 1
    if <turns> > 9 or <test>:
        break
    <block>

<turns> = 0
while (<turns> := <turns> + 1) < 10 and (<test>):
    <block>

for <far> in range(11):
    <block>
    if <test>:
        break
else:
    <block>

for <far> in range(11):
    if <test>:
        continue
    <block>

def <function>(p, q=0.5):
    nonlocal <all>
    <block>
    return <of p>
<name> = <function>(<value>) * 0.8

def <function>(p, q=0.5):
    if <of p> > <literal>:
        return p * <literal>
    return <of p>
<name> = <function>(<value>, q=<name>) * 0.8

def <function>(p, left=3):
    if left == 0 or p > <literal>:
        return p
    return <function>(p * 0.7, left - 1)
<name> = <function>(<value>)

try:
    n = [4, 2, 1][len(items) + n // 9]
    <block>
except IndexError:
    n = 1
    <block>
finally:
    f = f * 0.9

with scaled(<scalar>) as <item>:
    <block>

match n % 3:
    case 0:
        <block>
    case 1 | 2 if <test>:
        <block>
    case _:
        <block>

match pair:
    case (q, r) if q > <literal>:
        c = r * 0.5
        <block>
    case _:
        <block>""",
    "few": "3\n2\nn % 5\nlen(items)",
    "of p": "p\np + q\np * f\np - items[0]\np * q",
    "jump": """
if <test>:
    return <scalar> + x.sum()

if <test>:
    break

if <test>:
    continue

if <test>:
    <block>
    continue

if <test>:
    raise ValueError("asked for")""",
}

ALTERNATIVES = {
    name: text.strip("\n").split("\n\n" if name in ("compound", "jump") else "\n")
    for name, text in RULES.items()
}
