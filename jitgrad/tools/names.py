"""``python -m jitgrad names``: which of MindSpore's documented names are here."""

from __future__ import annotations

import argparse
import importlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.ops.absent import ABSENT
from jitgrad.tools import mindspore


@dataclass(frozen=True, slots=True)
class Face:
    """A group of names, and what they are looked up in."""

    title: str
    module: str
    names: tuple[str, ...]
    of: str = ""  # a class of the module

    @property
    def owner(self) -> Any:
        module = importlib.import_module(self.module)
        return getattr(module, self.of) if self.of else module

    def missing(self) -> list[str]:
        """The names that are not here."""
        owner = self.owner
        return [name for name in self.names if not hasattr(owner, name)]


def faces() -> list[Face]:
    """All groups, in the order of the page."""
    rows = (
        (OPS_TITLES[0], "jitgrad.ops", mindspore.OPS),
        (OPS_TITLES[1], "jitgrad.ops", mindspore.PRIMITIVES),
        ("Tensor", "jitgrad", mindspore.TENSOR),
        ("nn", "jitgrad.nn", mindspore.NN),
        ("numpy", "jitgrad.numpy", mindspore.NUMPY),
        ("mint", "jitgrad.mint", mindspore.MINT),
        ("mint.nn", "jitgrad.mint.nn", mindspore.MINT_NN),
        ("mint.optim", "jitgrad.mint.optim", mindspore.MINT_OPTIM),
        ("mint.nn.functional", "jitgrad.mint.nn.functional", mindspore.MINT_FUNCTIONAL),
        ("mint.linalg", "jitgrad.mint.linalg", mindspore.MINT_LINALG),
        ("mint.special", "jitgrad.mint.special", mindspore.MINT_SPECIAL),
        ("scipy.linalg", "jitgrad.scipy.linalg", mindspore.SCIPY_LINALG),
    )
    return [
        Face(title, module, tuple(names.split()), "Tensor" if title == "Tensor" else "")
        for title, module, names in rows
    ]


OPS_TITLES = ("ops, functions", "ops, Primitive classes")


def main(arguments: Sequence[str]) -> int:
    """Print the lists; with a name, say where it is, and 1 if it is nowhere."""
    parser = argparse.ArgumentParser(
        prog="jitgrad names", description="Which of MindSpore's documented names are here."
    )
    parser.add_argument("name", nargs="?", help="a single name to look up")
    parser.add_argument("--markdown", action="store_true", help="as Markdown")
    given = parser.parse_args(arguments)
    if given.name:
        return _look_up(given.name)
    for face in faces():
        print(_section(face, given.markdown))
    return 0


def _look_up(name: str) -> int:
    classes = name[:1].isupper()
    found = [
        face.title
        for face in faces()
        if hasattr(face.owner, name) and face.title != OPS_TITLES[not classes]
    ]
    print(f"{name}: {'; '.join(found)}" if found else f"{name} is not here")
    return 0 if found else 1


def _section(face: Face, markdown: bool) -> str:
    missing = face.missing()
    here = [name for name in face.names if name not in missing]
    head = f"{face.title}: {len(here)} of {len(face.names)}"
    parts = [f"## {head}" if markdown else head]
    labels = {"Here": here}
    for name in missing:
        labels.setdefault(f"Not here, because {ABSENT.get(name, 'nobody made it')}", []).append(
            name
        )
    for label, names in labels.items():
        listed = " ".join(f"`{name}`" if markdown else name for name in names)
        parts.append(textwrap.fill(f"{label}: {listed}", 100, break_on_hyphens=False))
    return "\n\n".join(parts) + "\n" if markdown else "\n".join(parts) + "\n"


__all__ = ["Face", "faces", "main"]
