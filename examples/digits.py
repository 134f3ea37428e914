"""Train a small network on handwritten digits, as a MindSpore program would."""

import numpy as np

import jitgrad as ms
from jitgrad import data, nn, ops


class Net(nn.Cell):
    """64 pixels, 64 hidden units, 10 digits."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Dense(64, 64, activation="relu")
        self.dropout = nn.Dropout(p=0.1)
        self.out = nn.Dense(64, 10)

    def construct(self, x):
        return self.out(self.dropout(self.hidden(self.flatten(x))))


def main():
    ms.set_seed(0)
    (images, labels), (test_images, test_labels) = data.digits()
    net = Net()
    with_loss = nn.WithLossCell(net, nn.CrossEntropyLoss())
    step = nn.TrainOneStepCell(with_loss, nn.Adam(net.trainable_params(), 5e-3))

    rng = np.random.default_rng(0)
    net.set_train()
    for _ in range(20):
        for batch in rng.permutation(len(images))[:1408].reshape(-1, 64):
            step(ms.Tensor(images[batch]), ms.Tensor(labels[batch]))

    net.set_train(False)
    found = ops.argmax(net(ms.Tensor(test_images)), -1).asnumpy()
    print(f"accuracy {np.mean(found == test_labels):.1%}")


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
