# kernel_0: reduce_sum div sub mul reduce_sum div add rsqrt mul mul add
# f32[5], f32[5], f32[8,5], -> f32[8,5]; 40 elements, 360 bytes
# loops: row over 8x5, axes (1,) reduced
# about 28 additions' time and 16 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    a2 = f32_ptr(ptrs, 2)
    r0 = f32_ptr(ptrs, 3)
    n1 = dims[1]
    x0_s0 = dims[2]
    y0_s0 = dims[3]
    k4 = dims[4]
    k5 = dims[5]
    for i0 in range(lo, hi):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a2[i0 * x0_s0 + i1]
            s0 = add_reassoc_f32(s0, v1)
        v2 = s0 / number_f32(k4)
        s3 = f32(0.0)
        for i1 in range(n1):
            v4 = a2[i0 * x0_s0 + i1]
            v5 = v4 - v2
            v6 = mul_reassoc_f32(v5, v5)
            s3 = add_reassoc_f32(s3, v6)
        v7 = s3 / number_f32(k4)
        v8 = v7 + number_f32(k5)
        v9 = rsqrt_f32(v8)
        for i1 in range(n1):
            v10 = a2[i0 * x0_s0 + i1]
            v11 = v10 - v2
            v12 = v11 * v9
            v13 = a1[i1]
            v14 = v12 * v13
            v15 = a0[i1]
            v16 = v14 + v15
            r0[i0 * y0_s0 + i1] = v16
