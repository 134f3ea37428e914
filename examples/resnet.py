"""A small residual network learns handwritten digits: batch normalization and shortcuts."""

import jitgrad as ms
from jitgrad import data, nn
from jitgrad.tools.speed import speed


class Block(nn.Cell):
    """Two convolutions and a shortcut around them; with a stride the image becomes smaller."""

    def __init__(self, channels, out_channels, stride):
        super().__init__()
        self.first = nn.Conv2d(channels, out_channels, 3, stride)
        self.second = nn.Conv2d(out_channels, out_channels, 3)
        self.norm1, self.norm2 = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Identity()
        if stride > 1 or channels != out_channels:
            self.shortcut = nn.Conv2d(channels, out_channels, 1, stride)

    def construct(self, x):
        y = self.norm1(self.first(x)).relu()
        return (self.norm2(self.second(y)) + self.shortcut(x)).relu()


class ResNet(nn.Cell):
    """Images [N, 1, 8, 8] to scores of ten digits."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.SequentialCell(Block(1, 12, 1), Block(12, 24, 2))
        self.out = nn.Dense(24, 10)

    def construct(self, x):
        return self.out(self.blocks(x).mean((2, 3)))


def main():
    ms.set_seed(0)
    train_set, test_set = data.digits()
    net = ResNet()
    optimizer = nn.Adam(net.trainable_params(), 1e-2)
    model = ms.Model(net, nn.CrossEntropyLoss(), optimizer, {"accuracy"})
    model.train(3, data.Batches(train_set, 60, shuffle=True, drop_remainder=True))
    accuracy = model.eval(data.Batches(test_set, 359))["accuracy"]
    print(f"accuracy {accuracy:.1%}")
    print(speed(model.train_network, *(ms.Tensor(a[:60]) for a in train_set), repeat=1))


if __name__ == "__main__":
    ms.set_context(mode=ms.GRAPH_MODE)
    main()
