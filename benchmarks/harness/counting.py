"""Instruction counts: what a workload's kernels execute, exactly and on any x86 machine alike.

    python -m benchmarks.harness.counting [--update] [NAMES]

Seconds cannot be compared between machines, nor from one hour to the next on a shared one. So each
kernel is compiled for one fixed CPU (x86-64-v3: AVX2, FMA), every basic block of its optimized LLVM
module adds its number of instructions to a counter, and the workload runs once at its full size. A
vector instruction counts as often as it fills a register; what becomes part of an address does not.
The stored counts are compared as ratios by the tests.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import workload

STORED = workload.FOLDER / "results" / "counts.json"
CPU, FEATURES, REGISTER = "x86-64-v3", {"avx2", "fma"}, 256
GROWTH = 1.10  # a count may grow by so much

# Where a change of fusion, lowering or vecmath shows, and which compile quickly.
COUNTED = (
    "attention_rows",
    "black_scholes",
    "distances",
    "elementwise_chain",
    "gaussian_likelihood",
    "k_means",
    "rms_norm",
    "rosenbrock",
)

FREE = ("phi", "getelementptr", "bitcast", "freeze", "br", "ret", "unreachable", "extractvalue")
ENDS = ("br ", "ret ", "switch ", "unreachable", "indirectbr ")
SIZES = {"float": 32, "double": 64, "half": 16, "ptr": 64}
VECTOR = re.compile(r"<(\d+) x (\w+)>")

_counter = ctypes.c_int64(0)


def weight(line: str) -> int:
    """How many machine instructions a line of LLVM stands for: 0 if it vanishes."""
    text = re.sub(r"^%\S+ = ", "", line.strip())
    text = re.sub(r"^(tail|musttail|notail) ", "", text)
    if text.split(" ", 1)[0] in FREE or "@llvm.assume" in text or "@llvm.lifetime" in text:
        return 0
    bits = [int(n) * (SIZES.get(t) or int(t[1:])) for n, t in VECTOR.findall(text)]
    return max([1, *(-(-b // REGISTER) for b in bits)])


def counted(text: str, address: int) -> str:
    """An LLVM module whose basic blocks add their instructions to the number at an address."""
    where = f"ptr inttoptr (i64 {address} to ptr)"
    done: list[str] = []
    inside, total, number = False, 0, 0
    for line in text.splitlines():
        bare = line.strip()
        if line.startswith("define "):
            inside, total = True, 0
        elif line.startswith("}"):
            inside = False
        elif inside and (not bare or bare.startswith(";")):
            pass
        elif inside and not line.startswith(" "):
            total = 0  # the label of the next block
        elif inside and bare.startswith(ENDS):
            number += 1
            done += [
                f"  %.count.{number} = load i64, {where}, align 8",
                f"  %.total.{number} = add i64 %.count.{number}, {total + 1}",
                f"  store i64 %.total.{number}, {where}, align 8",
            ]
            total = 0
        elif inside:
            total += weight(line)
        done.append(line)
    return "\n".join(done)


def install() -> None:
    """Compile for the fixed CPU from now on, with counters in kernels (not in the executor)."""
    import llvmlite.binding as llvm

    from jitgrad.codegen import native

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    how = {"opt": 3, "reloc": "pic", "codemodel": "default"}
    machine = target.create_target_machine(cpu=CPU, features="", **how)
    plain = native.optimized

    def optimized(text: str, inner: str) -> Any:
        module = plain(text, inner)
        if not re.search(r'define void @"?jg_\w+"?\(', text):
            return module
        return llvm.parse_assembly(counted(str(module), ctypes.addressof(_counter)))

    native.target_machine = lambda: machine
    native.optimized = optimized


def count(name: str) -> dict[str, int]:
    """Instructions of one call of a workload, its launches, and the bytes that they move."""
    import jitgrad as ms
    from benchmarks.harness import peers

    seen: list[Any] = []
    peers.program_function = lambda ms, compiled, arrays: seen.append((compiled, arrays))
    module = workload.load(name)
    module.program(ms, module.data())
    compiled, arrays = seen[0]
    given = [ms.Tensor(a) for a in arrays]
    compiled(*given)
    _counter.value = 0
    compiled(*given)
    instructions = _counter.value
    lowered = compiled.lower(*given)
    kernels = len(lowered.kernels)
    return {"instructions": instructions, "kernels": kernels, "bytes": lowered.bytes_moved}


def missing() -> str:
    """Why nothing can be counted here; empty if it can."""
    import llvmlite.binding as llvm

    found = {k for k, there in llvm.get_host_cpu_features().items() if there}
    return "" if found >= FEATURES else f"needs an x86 CPU with {', '.join(sorted(FEATURES))}"


def llvm_version() -> str:
    """What the counts depend on besides this project."""
    import llvmlite.binding as llvm

    return ".".join(map(str, llvm.llvm_version_info))


def grown(now: dict[str, dict[str, int]], path: Path = STORED) -> Iterator[str]:
    """What is more than `GROWTH` times what was stored."""
    before = json.loads(path.read_text(encoding="utf-8"))["counts"]
    for name, counts in now.items():
        for what, value in counts.items():
            old = before.get(name, {}).get(what)
            if old is None:
                yield f"{name}: no stored count of {what}"
            elif value > GROWTH * old:
                yield f"{name}: {value:,} {what}, were {old:,}: {value / old:.2f} times"


def main() -> int:
    """Count, and compare with what is stored or store it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.counting")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--update", action="store_true", help="store the counts")
    parser.add_argument("--json", action="store_true", help="only print the counts")
    options = parser.parse_args()
    install()
    now = {name: count(name) for name in options.names or COUNTED}
    if options.json:
        print(json.dumps(now))
        return 0
    if options.update:
        store(now)
        return 0
    for name, counts in now.items():
        print(f"{name:20s} " + "  ".join(f"{v:>14,} {k}" for k, v in counts.items()))
    found = list(grown(now))
    print("\n".join(found))
    return int(bool(found))


def store(now: dict[str, dict[str, int]], path: Path = STORED) -> None:
    """Write the counts to compare with."""
    facts = {"llvm": llvm_version(), "cpu": CPU, "counts": dict(sorted(now.items()))}
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ["JITGRAD_CACHE"] = "0"
    os.environ["JITGRAD_NUM_THREADS"] = "1"
    sys.exit(main())
