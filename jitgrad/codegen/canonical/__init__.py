"""Kernels written by hand, for ops that are a kernel of their own.

Each function returns the text of one kernel under the uniform signature,

    kernel(ptrs, dims, lo, hi)

made for dtypes that are given by their codes ("f32", "i64", "bool" …). Its docstring says what
`ptrs` and `dims` hold, in order, and which loop `[lo, hi)` is a part of. All arrays are contiguous
in C order, all integers int64, extents may be 0. Any partition of the range gives the same result;
parts may run at the same time. Except where stated, no two arrays may overlap.

A kernel that meets an index outside its axis leaves that element out and writes to its last
pointer, an int64 array: 1 to the first word, the index to the second.

Texts hold only loops, scalars and the names of `jitgrad.codegen.compile.names`, besides
`unpack_f16` and `pack_f16` (between float16 in memory and float32) where the dtype is "f16". They
run un-jitted too, with flat arrays in the place of `ptrs`, bools as bytes, and a list as `dims`.
"""

from __future__ import annotations

from jitgrad.codegen.canonical import conv, index, pool, scan, sort, squares

__all__ = ["conv", "index", "pool", "scan", "sort", "squares"]
