def kernel(a0, r0, n0, block, count):
    shared_f32 = cuda.shared.array(256, f32)
    thread = cuda.threadIdx.x
    lane = thread
    for c in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        start = c * block
        stop = start + block if start + block < n0 else n0
        s0 = f32(0.0)
        for i0 in range(start + lane, stop, 256):
            v1 = a0[i0]
            v2 = mul_reassoc_f32(v1, v1)
            s0 = add_reassoc_f32(s0, v2)
        shared_f32[thread] = s0
        half = 256
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s0 = shared_f32[thread - lane]
        cuda.syncthreads()
        if lane == 0:
            r0[c] = s0


def kernel(a0, r0, n1, count):
    shared_f32 = cuda.shared.array(16, f32)
    thread = cuda.threadIdx.x
    lane = thread
    for i0 in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        s0 = f32(0.0)
        for i1 in range(lane, n1, 16):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        shared_f32[thread] = s0
        half = 16
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s0 = shared_f32[thread - lane]
        cuda.syncthreads()
        if lane == 0:
            r0[0] = s0


def kernel(a0, r0, count):
    for i0 in range(cuda.grid(1), count, cuda.gridsize(1)):
        v0 = a0[0]
        v1 = sqrt_f32(v0)
        r0[0] = v1
