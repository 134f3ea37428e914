"""How a kernel's template becomes its text.

Braces hold what depends on the dtype: {T} the dtype's code in memory, {C} the code that it is
computed in, {load}(...) and {store}(...) the conversions between the two, of which only float16 has
any, and {zero} its zero as stored. What a line stores is brought to {C} first, because Numba's
integer arithmetic has 64 bits.
"""

from __future__ import annotations

import re


def working(dtype: str) -> str:
    """The code of the dtype in which a kernel computes."""
    return {"f16": "f32", "bool": "u8"}.get(dtype, dtype)


def fill(template: str, dtype: str, **more: str) -> str:
    """The text of a template for a dtype; `more` gives further names in braces."""
    for name, text in more.items():
        template = template.replace("{" + name + "}", text)
    if dtype == "f16":
        template = template.replace("{zero}", "pack_f16(f32(0))")
        template = template.replace("{load}", "unpack_f16").replace("{store}", "pack_f16")
    else:
        template = _without_conversions(template.replace("{zero}", "{C}(0)"))
    return template.replace("{T}", dtype).replace("{C}", working(dtype))


def _without_conversions(template: str) -> str:
    """Leave out the conversions and their parentheses: around an element, or up to a line's end."""
    template = re.sub(r"\{load\}\((\w+\[[^][]*\])\)", r"\1", template)
    template = re.sub(r"\{load\}\(\{store\}\((.*)\)\)$", r"\1", template, flags=re.M)
    return re.sub(r"\{store\}\((.*)\)$", r"\1", template, flags=re.M)


def indented(text: str, spaces: int) -> str:
    """Some lines to stand in the place of one that is indented by so many spaces."""
    return text.replace("\n", "\n" + " " * spaces)
