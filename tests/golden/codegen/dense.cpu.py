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
    for q0 in range(n0 // 4):
        i0 = q0 * 4
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
            v10 = a1[x0_s0 + i0 * x0_s0 + i1]
            v11 = v10 + v1
            v12 = select((v11 <= f32(0.0)), f32(0.0), v11)
            v13 = a0[x2_s0 + i0 * x2_s0 + i1]
            v14 = v12 - v13
            v15 = mul_reassoc_f32(v14, v14)
            v16 = v12 <= f32(0.0)
            v17 = v14 + v14
            v18 = select(v16, f32(0.0), v17)
            v19 = a1[2 * x0_s0 + i0 * x0_s0 + i1]
            v20 = v19 + v1
            v21 = select((v20 <= f32(0.0)), f32(0.0), v20)
            v22 = a0[2 * x2_s0 + i0 * x2_s0 + i1]
            v23 = v21 - v22
            v24 = mul_reassoc_f32(v23, v23)
            v25 = v21 <= f32(0.0)
            v26 = v23 + v23
            v27 = select(v25, f32(0.0), v26)
            v28 = a1[3 * x0_s0 + i0 * x0_s0 + i1]
            v29 = v28 + v1
            v30 = select((v29 <= f32(0.0)), f32(0.0), v29)
            v31 = a0[3 * x2_s0 + i0 * x2_s0 + i1]
            v32 = v30 - v31
            v33 = mul_reassoc_f32(v32, v32)
            v34 = v30 <= f32(0.0)
            v35 = v32 + v32
            v36 = select(v34, f32(0.0), v35)
            s37 = r0[i1]
            s38 = add_reassoc_f32(s37, v6)
            s39 = add_reassoc_f32(s38, v15)
            s40 = add_reassoc_f32(s39, v24)
            r0[i1] = add_reassoc_f32(s40, v33)
            s41 = r2[i1]
            s42 = add_reassoc_f32(s41, v9)
            s43 = add_reassoc_f32(s42, v18)
            s44 = add_reassoc_f32(s43, v27)
            r2[i1] = add_reassoc_f32(s44, v36)
            r1[i0 * y1_s0 + i1] = v9
            r1[y1_s0 + i0 * y1_s0 + i1] = v18
            r1[2 * y1_s0 + i0 * y1_s0 + i1] = v27
            r1[3 * y1_s0 + i0 * y1_s0 + i1] = v36
    for i0 in range(n0 // 4 * 4, n0):
        for i1 in range(lo, hi):
            v45 = a1[i0 * x0_s0 + i1]
            v46 = a2[i1]
            v47 = v45 + v46
            v48 = select((v47 <= f32(0.0)), f32(0.0), v47)
            v49 = a0[i0 * x2_s0 + i1]
            v50 = v48 - v49
            v51 = mul_reassoc_f32(v50, v50)
            v52 = v48 <= f32(0.0)
            v53 = v50 + v50
            v54 = select(v52, f32(0.0), v53)
            s55 = r0[i1]
            r0[i1] = add_reassoc_f32(s55, v51)
            s56 = r2[i1]
            r2[i1] = add_reassoc_f32(s56, v54)
            r1[i0 * y1_s0 + i1] = v54


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
