# kernel_0: matmul
# f32[32,20], f32[20,24], -> f32[32,24]; 15360 elements, 7552 bytes
def kernel(ptrs, dims, lo, hi):
    # row-major C = A B (+ C) is column-major C' = B' A' (+ C'); the range is rows or columns of C
    m = dims[0] if dims[0] > 0 else hi - lo
    n = dims[1] if dims[1] > 0 else hi - lo
    a = ptrs[0] + lo * dims[7]
    b = ptrs[1] + lo * dims[8]
    c = ptrs[2] + lo * dims[9]
    routine, k, ldc = ptrs[3], dims[2], dims[11]
    gemm_f32(routine, dims[4], dims[3], n, m, k, b, dims[6], a, dims[5], dims[10], c, ldc)


# kernel_1: add relu sub mul reduce_sum less_equal add select reduce_sum
# f32[32,24], f32[32,24], f32[24], -> (f32[24], f32[32,24], f32[24]); 768 elements, 9504 bytes
# loops: column over 32x24, axes (0,) reduced
# about 9 additions' time and 24 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    a2 = f32_ptr(ptrs, 2)
    r0 = f32_ptr(ptrs, 3)
    r1 = f32_ptr(ptrs, 4)
    r2 = f32_ptr(ptrs, 5)
    n0 = dims[0]
    x0_s0 = dims[2]
    x2_s0 = dims[3]
    y1_s0 = dims[4]
    for i1 in range(lo, hi):
        r0[i1] = f32(0.0)
        r2[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(lo, hi):
            v0 = a1[i0 * x0_s0 + i1]
            v1 = a2[i1]
            v2 = v0 + v1
            v3 = select((v2 <= f32(0.0)), f32(0.0), v2)
            v4 = a0[i0 * x2_s0 + i1]
            v5 = v3 - v4
            v6 = mul_reassoc_f32(v5, v5)
            v7 = v3 <= f32(0.0)
            v8 = v5 + v5
            v9 = select(v7, f32(0.0), v8)
            s10 = r0[i1]
            r0[i1] = add_reassoc_f32(s10, v6)
            s11 = r2[i1]
            r2[i1] = add_reassoc_f32(s11, v9)
            r1[i0 * y1_s0 + i1] = v9


# kernel_2: reduce_sum
# f32[24], -> f32[]; 24 elements, 100 bytes
# loops: row over 24, axes (0,) reduced
# about 1 additions' time and 8 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    n1 = dims[1]
    for i0 in range(lo, hi):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        r0[0] = s0


# kernel_3: matmul
# f32[20,32], f32[32,24], -> f32[20,24]; 15360 elements, 7552 bytes
def kernel(ptrs, dims, lo, hi):
    # row-major C = A B (+ C) is column-major C' = B' A' (+ C'); the range is rows or columns of C
    m = dims[0] if dims[0] > 0 else hi - lo
    n = dims[1] if dims[1] > 0 else hi - lo
    a = ptrs[0] + lo * dims[7]
    b = ptrs[1] + lo * dims[8]
    c = ptrs[2] + lo * dims[9]
    routine, k, ldc = ptrs[3], dims[2], dims[11]
    gemm_f32(routine, dims[4], dims[3], n, m, k, b, dims[6], a, dims[5], dims[10], c, ldc)
