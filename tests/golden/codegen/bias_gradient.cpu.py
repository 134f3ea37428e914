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
    for q0 in range(n0 // 4):
        i0 = q0 * 4
        for i1 in range(lo, hi):
            v0 = a1[i0 * x0_s0 + i1]
            v1 = f32(0.0) < v0
            v2 = a0[i0 * x1_s0 + i1]
            v3 = select(v1, v2, f32(0.0))
            v4 = a1[x0_s0 + i0 * x0_s0 + i1]
            v5 = f32(0.0) < v4
            v6 = a0[x1_s0 + i0 * x1_s0 + i1]
            v7 = select(v5, v6, f32(0.0))
            v8 = a1[2 * x0_s0 + i0 * x0_s0 + i1]
            v9 = f32(0.0) < v8
            v10 = a0[2 * x1_s0 + i0 * x1_s0 + i1]
            v11 = select(v9, v10, f32(0.0))
            v12 = a1[3 * x0_s0 + i0 * x0_s0 + i1]
            v13 = f32(0.0) < v12
            v14 = a0[3 * x1_s0 + i0 * x1_s0 + i1]
            v15 = select(v13, v14, f32(0.0))
            s16 = r1[i1]
            s17 = add_reassoc_f32(s16, v3)
            s18 = add_reassoc_f32(s17, v7)
            s19 = add_reassoc_f32(s18, v11)
            r1[i1] = add_reassoc_f32(s19, v15)
            r0[i0 * y0_s0 + i1] = v3
            r0[y0_s0 + i0 * y0_s0 + i1] = v7
            r0[2 * y0_s0 + i0 * y0_s0 + i1] = v11
            r0[3 * y0_s0 + i0 * y0_s0 + i1] = v15
    for i0 in range(n0 // 4 * 4, n0):
        for i1 in range(lo, hi):
            v20 = a1[i0 * x0_s0 + i1]
            v21 = f32(0.0) < v20
            v22 = a0[i0 * x1_s0 + i1]
            v23 = select(v21, v22, f32(0.0))
            s24 = r1[i1]
            r1[i1] = add_reassoc_f32(s24, v23)
            r0[i0 * y0_s0 + i1] = v23
