"""Runge and Kutta with steps that adapt: how a swing's end depends on where it began."""

import jitgrad as ms
from jitgrad import Tensor, ops


def slope(angle, speed):
    return speed, -ops.sin(angle) - 0.1 * speed


def step(angle, speed, h):
    """One step of Bogacki and Shampine, and an estimate of its error."""
    a1, s1 = slope(angle, speed)
    a2, s2 = slope(angle + h / 2 * a1, speed + h / 2 * s1)
    a3, s3 = slope(angle + 3 * h / 4 * a2, speed + 3 * h / 4 * s2)
    new_angle = angle + h / 9 * (2 * a1 + 3 * a2 + 4 * a3)
    new_speed = speed + h / 9 * (2 * s1 + 3 * s2 + 4 * s3)
    a4, s4 = slope(new_angle, new_speed)
    error_angle = h * (-5 / 72 * a1 + a2 / 12 + a3 / 9 - a4 / 8)
    error_speed = h * (-5 / 72 * s1 + s2 / 12 + s3 / 9 - s4 / 8)
    return new_angle, new_speed, ops.sqrt(error_angle**2 + error_speed**2 + 1e-30)


def swing(angle, speed, end, tolerance=1e-9):
    """The angle at a time, and how many steps that took; too large an error halves the step."""
    time, h = end * 0.0, end * 0.01
    steps = 0
    while time < end:
        if time + h > end:
            h = end - time
        new_angle, new_speed, error = step(angle, speed, h)
        steps = steps + 1
        if error > tolerance:
            h = h * 0.5
            continue
        time, angle, speed = time + h, new_angle, new_speed
        if error < tolerance / 16:
            h = h * 2.0
    return angle, steps


def main():
    angle, speed, end = (Tensor(v, ms.float64) for v in (2.0, 0.0, 10.0))
    gradient = ms.value_and_grad(lambda a, s: swing(a, s, end), (0, 1), has_aux=True)
    (final, steps), (by_angle, by_speed) = ms.jit(gradient)(angle, speed)
    print(f"angle {final.item():.5f} after {int(steps)} steps", end=", ")
    print(f"by angle {by_angle.item():.5f}, by speed {by_speed.item():.5f}")


if __name__ == "__main__":
    main()
