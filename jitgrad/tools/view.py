"""A graph, or all that was made of a function, as one HTML page without references to others.

The page shows the graph after each pass, what each pass made new, the plan with its memory, and
each kernel's source for CPU and CUDA. Pointing at a value marks it everywhere in its graph.
"""

from __future__ import annotations

import html as markup
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from jitgrad.ir.node import Graph, Node
from jitgrad.ir.text import line_of
from jitgrad.runtime.lowered import Lowered
from jitgrad.tools.cache import size
from jitgrad.tools.draw import arena_svg, graph_svg
from jitgrad.tools.inspect import Listing, listings, signature

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<value>%(?:[\w.']+|"(?:[^"\\]|\\.)*")(?:~\d+)?)
      | (?P<op>(?<==\ )[\w.]+(?=\())
      | (?P<type>\b(?:f16|f32|f64|[iu](?:8|16|32|64)|bool)\[[\d,]*\])""",
    re.VERBOSE,
)
_NAMED = re.compile(r"  (%\S+) = ")


def html(thing: Graph | Lowered, *, title: str = "", seconds: Sequence[float] = ()) -> str:
    """The page. `seconds` are times of launches, as `Lowered.profile` gives them."""
    graph = thing.stages[0][1] if isinstance(thing, Lowered) else thing
    formatter = HtmlFormatter(style="friendly", cssclass="source")
    text = files("jitgrad.tools").joinpath("templates/view.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    whole = isinstance(thing, Lowered)
    return environment.from_string(text).render(
        title=title or f"@{graph.name}",
        graph=signature([*(str(x.type) for x in graph.inputs), f"-> {_results(graph)}"]),
        stages=stages(thing.stages if whole else [("", thing)]),
        plan=str(thing.plan) if whole else "",
        arena=arena_svg(thing.plan) if whole else "",
        arena_size=size(thing.plan.arena) if whole else "",
        steps=len(thing.plan.steps) if whole else 0,
        kernels=kernels(listings(thing, seconds), formatter) if whole else [],
        total=size(thing.bytes_moved) if whole else "",
        style=formatter.get_style_defs(".source"),
    )


def write(path: str | Path, thing: Graph | Lowered, **options: Any) -> Path:
    """Write the page into a file; the options are those of `html`."""
    path = Path(path)
    path.write_text(html(thing, **options), encoding="utf-8")
    return path


def _results(graph: Graph) -> str:
    return f"({', '.join([str(o.type) for o in graph.outputs])})"


# --- graphs -------------------------------------------------------------------------------------


def stages(given: Sequence[tuple[str, Graph]]) -> list[dict[str, Any]]:
    """What the template shows of each graph. New is what no earlier stage had."""
    found, known = [], set(given[0][1].nodes)
    for name, graph in given:
        fresh = {node for node in graph.nodes if node not in known}
        found.append(
            {
                "name": name,
                "size": len(graph.nodes),
                "new": len(fresh),
                "text": graph_html(graph, fresh),
                "picture": graph_svg(graph),
            }
        )
        known.update(graph.nodes)
    return found


def graph_html(graph: Graph, fresh: set[Node] | frozenset[Node] = frozenset()) -> str:
    """The graph's text with its values, ops, types and comments marked up.

    `data-v` names a value within its graph: values of a region are told from those around it.
    Lines of nodes in `fresh` are marked.
    """
    marked = {line_of(graph, node).partition(" = ")[0] for node in fresh}
    lines, inside = [], _Scopes()
    for line in str(graph).splitlines():
        named = _NAMED.match(line)
        new = not inside.depth and named is not None and named[1] in marked
        text = _marked_up(line, inside.prefix(line))
        lines.append(f'<span class="new">{text}</span>' if new else text)
    return "\n".join(lines)


class _Scopes:
    """Which region of a graph's text a line is in."""

    def __init__(self) -> None:
        self.stack: list[tuple[int, str]] = []
        self.count = 0

    @property
    def depth(self) -> int:
        return len(self.stack)

    def prefix(self, line: str) -> str:
        """What tells the values of this line from equal names elsewhere."""
        indent = len(line) - len(line.lstrip())
        if "=graph @" in line:
            self.count += 1
            self.stack.append((indent, f"{self.count}:"))
        elif self.stack and self.stack[-1][0] == indent and line.strip() in ("}", "},"):
            self.stack.pop()
        return self.stack[-1][1] if self.stack else ""


def _marked_up(line: str, prefix: str) -> str:
    parts, at = [], 0
    for found in _TOKEN.finditer(line):
        parts.append(markup.escape(line[at : found.start()]))
        text, kind = markup.escape(found[0]), found.lastgroup
        value = f' data-v="{prefix}{text}"' if kind == "value" else ""
        parts.append(f'<span class="{kind}"{value}>{text}</span>')
        at = found.end()
    return "".join([*parts, markup.escape(line[at:])])


# --- kernels ------------------------------------------------------------------------------------


def kernels(given: Sequence[Listing], formatter: Any) -> list[dict[str, Any]]:
    """What the template shows of each kernel."""
    spent = sum(k.seconds or 0.0 for k in given)
    return [
        {
            "name": k.name,
            "ops": " ".join(k.ops),
            "lines": ", ".join(k.lines),
            "operands": signature(k.operands) if k.operands else "",
            "launches": k.launches,
            "elements": k.elements,
            "bytes": size(k.nbytes),
            "time": f"{1e6 * k.seconds:.1f}" if k.seconds is not None else "",
            "share": f"{100 * (k.seconds or 0.0) / spent:.0f} %" if spent else "",
            "cpu": highlight(k.cpu, PythonLexer(), formatter),
            "cuda": highlight(k.cuda, PythonLexer(), formatter) if k.cuda else "",
        }
        for k in given
    ]
