"""Branch-free scalar math that vectorizes when it is inlined into fused loops.

``intrinsics.namespace_numba()`` and ``intrinsics.namespace_python()`` give generated kernels the
same names (``exp_f32``, ``select``, ``f32_ptr`` ...) as Numba intrinsics and as NumPy functions.
"""
