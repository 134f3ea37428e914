def kernel(a0, r0, n1, x0_s0, y0_s0, count):
    shared_f32 = cuda.shared.array(32, f32)
    thread = cuda.threadIdx.x
    column = thread // 4
    lane = thread % 4
    for first in range(cuda.blockIdx.x * 8, count, cuda.gridDim.x * 8):
        live = first + column < count
        i0 = first + column if live else 0
        s0 = -f32(inf)
        for i1 in range(lane, n1 if live else 0, 4):
            v1 = a0[i0 * x0_s0 + i1]
            s0 = max_reassoc_f32(s0, v1)
        shared_f32[thread] = s0
        half = 4
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = max_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s0 = shared_f32[thread - lane]
        cuda.syncthreads()
        s2 = f32(0.0)
        for i1 in range(lane, n1 if live else 0, 4):
            v3 = a0[i0 * x0_s0 + i1]
            v4 = v3 - s0
            v5 = exp_f32(v4)
            s2 = add_reassoc_f32(s2, v5)
            r0[i0 * y0_s0 + i1] = v5
        shared_f32[thread] = s2
        half = 4
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s2 = shared_f32[thread - lane]
        cuda.syncthreads()
        for i1 in range(lane, n1 if live else 0, 4):
            v6 = r0[i0 * y0_s0 + i1]
            v7 = v6 / s2
            r0[i0 * y0_s0 + i1] = v7
