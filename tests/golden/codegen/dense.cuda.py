def kernel(a0, a1, a2, r0, r1, r2, dims, extent):
    n0 = dims[0]
    x0_s0 = dims[2]
    x2_s0 = dims[3]
    y1_s0 = dims[4]
    for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        r0[i1] = f32(0.0)
        r2[i1] = f32(0.0)
    for q0 in range(n0 // 4):
        i0 = q0 * 4
        for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
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
        for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
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


def kernel(a0, r0, dims, extent):
    n1 = dims[1]
    for i0 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        r0[0] = s0
