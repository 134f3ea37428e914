"""Ray marching: how bright a pixel of a scene is, and which way to move the light."""

import jitgrad as ms
from jitgrad import Tensor, ops


def distance(p):
    """From a point to a ball over a floor."""
    ball = ops.sqrt(((p - Tensor([0.0, 0.0, 4.0])) ** 2).sum()) - 1.0
    floor = p[1] + 1.0
    return ball if ball < floor else floor


def brightness(light, x, y):
    """What a ray through (x, y) of the screen sees, lit from one point."""
    ray = ops.stack([x, y, x * 0.0 + 1.0])
    ray = ray / ops.norm(ray)
    t = x * 0.0
    for _ in range(64):
        d = distance(t * ray)
        if d < 1e-4:
            break
        t = t + d
        if t > 20.0:
            return x * 0.0
    point = t * ray
    normal = ms.grad(distance)(point)
    towards = light - point
    shade = (normal * towards).sum() / ops.norm(towards)
    return shade if shade > 0 else shade * 0.1


def main():
    image = ms.vmap(ms.vmap(brightness, (None, 0, None)), (None, None, 0))
    light = Tensor([2.0, 3.0, 0.0])
    screen = ms.ops.linspace(-0.5, 0.5, 24)
    picture = ms.jit(image)(light, screen, -screen[::2])
    for row in picture.asnumpy():
        print("".join(" .:-=+*#%@"[min(9, max(0, int(10 * v)))] for v in row))
    total = ms.jit(ms.grad(lambda at: image(at, screen, -screen[::2]).mean()))(light)
    print("brighter towards", [round(float(g), 4) for g in total.asnumpy()])


if __name__ == "__main__":
    main()
