"""LeNet learns handwritten digits: convolutions, pooling, and `Model` for the training."""

import jitgrad as ms
from jitgrad import data, nn
from jitgrad.tools.speed import speed


class LeNet(nn.Cell):
    """Images [N, 1, 8, 8] to scores of ten digits. Pixels are doubled, to 16 x 16."""

    def __init__(self):
        super().__init__()
        self.larger = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.first = nn.Conv2d(1, 6, 5, pad_mode="same", has_bias=True)
        self.second = nn.Conv2d(6, 16, 5, pad_mode="valid", has_bias=True)
        self.pool = nn.MaxPool2d(2, 2)
        self.flatten = nn.Flatten()
        self.dense = nn.SequentialCell(
            nn.Dense(64, 48, activation="relu"), nn.Dense(48, 32, activation="relu")
        )
        self.out = nn.Dense(32, 10)

    def construct(self, x):
        x = self.pool(self.first(self.larger(x)).relu())
        x = self.pool(self.second(x).relu())
        return self.out(self.dense(self.flatten(x)))


def main():
    ms.set_seed(0)
    train_set, test_set = data.digits()
    net = LeNet()
    optimizer = nn.Momentum(
        net.trainable_params(), nn.cosine_decay_lr(1e-4, 0.05, 240, 24, 10), 0.9
    )
    model = ms.Model(net, nn.CrossEntropyLoss(), optimizer, {"accuracy"})
    model.train(10, data.Batches(train_set, 60, shuffle=True))
    accuracy = model.eval(data.Batches(test_set, 359))["accuracy"]
    print(f"accuracy {accuracy:.1%}")
    print(speed(model.train_network, *(ms.Tensor(a[:60]) for a in train_set)))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
