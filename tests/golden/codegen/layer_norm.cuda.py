def kernel(a0, a1, a2, r0, n1, x0_s0, y0_s0, k4, k5, count):
    shared_f32 = cuda.shared.array(32, f32)
    thread = cuda.threadIdx.x
    column = thread // 4
    lane = thread % 4
    for first in range(cuda.blockIdx.x * 8, count, cuda.gridDim.x * 8):
        live = first + column < count
        i0 = first + column if live else 0
        s0 = f32(0.0)
        for i1 in range(lane, n1 if live else 0, 4):
            v1 = a2[i0 * x0_s0 + i1]
            s0 = add_reassoc_f32(s0, v1)
        shared_f32[thread] = s0
        half = 4
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s0 = shared_f32[thread - lane]
        cuda.syncthreads()
        v2 = s0 / number_f32(k4)
        s3 = f32(0.0)
        for i1 in range(lane, n1 if live else 0, 4):
            v4 = a2[i0 * x0_s0 + i1]
            v5 = v4 - v2
            v6 = mul_reassoc_f32(v5, v5)
            s3 = add_reassoc_f32(s3, v6)
        shared_f32[thread] = s3
        half = 4
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s3 = shared_f32[thread - lane]
        cuda.syncthreads()
        v7 = s3 / number_f32(k4)
        v8 = v7 + number_f32(k5)
        v9 = rsqrt_f32(v8)
        for i1 in range(lane, n1 if live else 0, 4):
            v10 = a2[i0 * x0_s0 + i1]
            v11 = v10 - v2
            v12 = v11 * v9
            v13 = a1[i1]
            v14 = v12 * v13
            v15 = a0[i1]
            v16 = v14 + v15
            r0[i0 * y0_s0 + i1] = v16
