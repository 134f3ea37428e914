"""Math that vectorizes in fused loops: short functions inlined, long ones called on vectors.

``intrinsics.namespace_numba()`` and ``intrinsics.namespace_python()`` give generated kernels the
same names (``exp_f32``, ``select``, ``f32_ptr`` ...) as Numba intrinsics and as NumPy functions.
``lang`` is the language the functions are written in, ``llvm`` its LLVM side, ``table`` the list of
functions, ``library`` what is called instead of inlined, ``fast`` what JITGRAD_MATH=fast puts in
the place of others, ``derive`` the tool that finds their coefficients.

Bounds in ulp are for LLVM, of the largest error seen over dense samples of the whole range.  NumPy
has no fused multiply-add for float64, which can add half an ulp there.
"""
