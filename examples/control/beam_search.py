"""Beam search: the likeliest sentences of a small language model, and what makes them likelier."""

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, ops

WORDS, BEAM, LONGEST, STOP = 8, 3, 7, 0


def best(scores, start):
    """The log probability of the likeliest sentence that the beam finds, and its words.

    scores: [word, next word], not normalized. A sentence ends with STOP.
    """
    chances = ops.log_softmax(scores, -1)
    total = ops.zeros((BEAM,)) + Tensor([0.0] + [-1e9] * (BEAM - 1))
    words = ops.zeros((BEAM, LONGEST), ms.int32)
    last = ops.zeros((BEAM,), ms.int32) + start
    step = 0
    while step < LONGEST and (last != STOP).any():
        ended = (last == STOP)[:, None]
        stays = Tensor(np.where(np.arange(WORDS) == STOP, 0.0, -1e9).astype(np.float32))
        each = total[:, None] + ops.where(ended, stays, chances[last])
        total, found = ops.topk(each.reshape(-1), BEAM)
        parent, last = found // WORDS, (found % WORDS).astype(ms.int32)
        words = words[parent]
        words[:, step] = last
        step += 1
    return total[0], words[0]


def main():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(WORDS, WORDS)).astype(np.float32) * 1.5
    scores[:, STOP] -= 1.0
    gradient = ms.jit(ms.value_and_grad(best, has_aux=True))
    (value, words), slope = gradient(Tensor(scores), Tensor(5, ms.int32))
    print("words", words.tolist(), f"log probability {value.item():.3f}")
    print("raise first", np.unravel_index(np.argmax(slope.asnumpy()), slope.shape))


if __name__ == "__main__":
    main()
