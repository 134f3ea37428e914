def kernel(a0, a1, r0, r1, r2, count):
    for i0 in range(cuda.grid(1), count, cuda.gridsize(1)):
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
