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


# kernel_1: add relu sub mul reduce_sum less_equal add select
# f32[32,24], f32[32,24], f32[24], -> (f32[], f32[32,24]); 768 elements, 9316 bytes
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    a2 = f32_ptr(ptrs, 2)
    r0 = f32_ptr(ptrs, 3)
    r1 = f32_ptr(ptrs, 4)
    n1 = dims[1]
    n2 = dims[2]
    x0_s1 = dims[3]
    x2_s1 = dims[4]
    y1_s1 = dims[5]
    for i0 in range(lo, hi):
        s0 = f32(0.0)
        for i1 in range(n1):
            for i2 in range(n2):
                v1 = a1[i1 * x0_s1 + i2]
                v2 = a2[i2]
                v3 = v1 + v2
                v4 = select((v3 <= f32(0.0)), f32(0.0), v3)
                v5 = a0[i1 * x2_s1 + i2]
                v6 = v4 - v5
                v7 = mul_reassoc_f32(v6, v6)
                v8 = v4 <= f32(0.0)
                v9 = v6 + v6
                v10 = select(v8, f32(0.0), v9)
                s0 = add_reassoc_f32(s0, v7)
                r1[i1 * y1_s1 + i2] = v10
        r0[0] = s0


# kernel_2: matmul
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


# kernel_3: reduce_sum
# f32[32,24], -> f32[24]; 768 elements, 3168 bytes
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    n0 = dims[0]
    x0_s0 = dims[2]
    for i1 in range(lo, hi):
        r0[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(lo, hi):
            v0 = a0[i0 * x0_s0 + i1]
            s1 = r0[i1]
            r0[i1] = add_reassoc_f32(s1, v0)
