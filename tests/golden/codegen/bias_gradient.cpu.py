# kernel_0: less select reduce_sum
# f32[8,5], f32[8,5], -> (f32[8,5], f32[5]); 40 elements, 500 bytes
# loops: column over 8x5, axes (0,) reduced
# about 3 additions' time and 16 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    r0 = f32_ptr(ptrs, 2)
    r1 = f32_ptr(ptrs, 3)
    n0 = dims[0]
    x0_s0 = dims[2]
    x1_s0 = dims[3]
    y0_s0 = dims[4]
    for i1 in range(lo, hi):
        r1[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(lo, hi):
            v0 = a1[i0 * x0_s0 + i1]
            v1 = f32(0.0) < v0
            v2 = a0[i0 * x1_s0 + i1]
            v3 = select(v1, v2, f32(0.0))
            s4 = r1[i1]
            r1[i1] = add_reassoc_f32(s4, v3)
            r0[i0 * y0_s0 + i1] = v3
