# kernel_0: mul sin add tanh neg exp mul mul sub mul cos mul mul add mul sub
# f32[8,5], f32[8,5], -> (f32[8,5], f32[8,5], f32[8,5]); 40 elements, 800 bytes
# loops: map over 8x5
# about 52 additions' time and 20 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    r0 = f32_ptr(ptrs, 2)
    r1 = f32_ptr(ptrs, 3)
    r2 = f32_ptr(ptrs, 4)
    for i0 in range(lo, hi):
        v0 = a0[i0]
        v1 = a1[i0]
        v2 = v0 * v1
        v3 = sin_f32(v0)
        v4 = v2 + v3
        v5 = tanh_f32(v4)
        v6 = -v1
        v7 = exp_f32(v6)
        v8 = v5 * v7
        v9 = v5 * v5
        v10 = f32(1.0) - v9
        v11 = v7 * v10
        v12 = cos_f32(v0)
        v13 = v11 * v12
        v14 = v11 * v1
        v15 = v13 + v14
        v16 = v11 * v0
        v17 = v16 - v8
        r0[i0] = v8
        r1[i0] = v15
        r2[i0] = v17
