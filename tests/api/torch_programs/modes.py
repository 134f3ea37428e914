"""Hooks, grad modes, in-place writes."""

from .backward import leaf


def no_grad(torch, show):
    x = leaf(torch, 2.0)
    with torch.no_grad():
        y = x * x
        show(y.requires_grad, torch.is_grad_enabled())
        with torch.enable_grad():
            z = x * x
    show(z.requires_grad, torch.is_grad_enabled())

    @torch.no_grad()
    def f(x):
        return x * x

    @torch.enable_grad()
    def g(x):
        return x * x

    show(f(x).requires_grad)
    with torch.no_grad():
        show(g(x).requires_grad)


def grad_enabled(torch, show):
    x = leaf(torch, 2.0)
    with torch.set_grad_enabled(False):
        show((x * x).requires_grad)
    show((x * x).requires_grad)
    torch.set_grad_enabled(False)
    show((x * x).requires_grad)
    torch.set_grad_enabled(True)
    show((x * x).requires_grad)

    @torch.set_grad_enabled(False)
    def f(x):
        return x * x

    show(f(x).requires_grad, (x * x).requires_grad)


def mode_after_an_error(torch, show):
    try:
        with torch.no_grad():
            raise KeyError
    except KeyError:
        pass
    show(torch.is_grad_enabled())


def inference(torch, show):
    x = leaf(torch, 2.0)
    with torch.inference_mode():
        y = x * x
        show(y.requires_grad, torch.is_grad_enabled())
    show(torch.is_grad_enabled())

    @torch.inference_mode()
    def f(x):
        return x * x

    show(f(x).requires_grad)
    with torch.inference_mode(False):
        show((x * x).requires_grad)


def no_grad_keeps_leaves(torch, show):
    with torch.no_grad():
        x = leaf(torch, 2.0)
        y = x * x
    show(x.requires_grad, y.requires_grad)
    y.backward()


def hooks(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 3
    handle = y.register_hook(lambda g: show("y", g))
    x.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    show(x.grad)
    handle.remove()
    y.sum().backward()
    show(x.grad)


def hooks_in_order(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 3
    y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * 10)
    y.retain_grad()
    (y * y).sum().backward()
    show(y.grad, x.grad)


def hook_and_grad(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * x
    y.register_hook(lambda g: g * 2)
    show(torch.autograd.grad(y.sum(), x))


def hook_on_leaf_and_grad(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.register_hook(lambda g: g * 2)
    show(torch.autograd.grad((x * x).sum(), x))


def hook_sees_the_sum(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    y.register_hook(lambda g: show(g))
    (y * 2 + y * 3).backward()


def hook_of_wrong_shape(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.register_hook(lambda g: torch.ones(3, dtype=torch.float64))
    x.sum().backward()


def hook_of_no_tensor(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.register_hook(lambda g: 3)
    x.sum().backward()


def hook_without_history(torch, show):
    torch.tensor(1.0).register_hook(print)


def hook_in_double_backward(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    show(g, torch.autograd.grad(g, x))


def hook_raises(torch, show):
    x = leaf(torch, 2.0)

    def hook(g):
        raise ValueError("no")

    x.register_hook(hook)
    try:
        (x * x).backward()
    except ValueError as error:
        show(str(error), x.grad)


def hook_after_accumulation(torch, show):
    x = leaf(torch, 2.0)
    handle = x.register_post_accumulate_grad_hook(lambda t: show("now", t.grad))
    (x * x).backward()
    handle.remove()
    (x * x).backward()
    show(x.grad)


def hook_after_accumulation_on_no_leaf(torch, show):
    (leaf(torch, 2.0) * 2).register_post_accumulate_grad_hook(print)


def retained(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    y.retain_grad()
    (y * 3).backward(retain_graph=True)
    show(y.grad)
    (y * 3).backward()
    show(y.grad, x.grad)


def retain_without_history(torch, show):
    torch.tensor(2.0).retain_grad()


def write_to_saved(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    y += 1
    y.sum().backward()


def write_to_saved_input(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    z = y * y
    y[0] = 7.0
    z.sum().backward()


def write_to_what_is_not_needed(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    z = y + 1
    y.mul_(3)
    (z + y).sum().backward()
    show(x.grad)


def write_to_leaf(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x += 1


def write_to_leaf_by_index(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x[0] = 3.0


def write_to_leaf_without_grad(torch, show):
    x = leaf(torch, [1.0, 2.0])
    with torch.no_grad():
        x += 1
        x[0] = 5.0
        x.mul_(2)
    show(x, x.requires_grad, x.is_leaf)
    (x * x).sum().backward()
    show(x.grad)


def write_to_leaf_data(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.data = torch.tensor([5.0, 5.0], dtype=torch.float64)
    show(x, x.requires_grad)
    (x * x).sum().backward()
    show(x.grad)


def versions(torch, show):
    x = torch.tensor([1.0, 2.0])
    show(x._version)
    x.add_(1)
    x[0] = 2.0
    x.zero_()
    show(x._version)


def write_makes_a_constant_followed(torch, show):
    x, y = leaf(torch, 3.0), torch.zeros(3, dtype=torch.float64)
    y[1] = x * x
    show(y.requires_grad)
    (y * 2).sum().backward()
    show(x.grad)


def write_cuts_the_gradient(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    y[0] = 10.0
    (y * y).sum().backward()
    show(x.grad)


def writes_in_a_loop(torch, show):
    x = leaf(torch, [1.0, 2.0, 3.0])
    y = torch.zeros(3, dtype=torch.float64)
    for i in range(3):
        y[i] = x[i] ** (i + 1)
    y.sum().backward()
    show(x.grad)


def in_place_methods(torch, show):
    x = leaf(torch, [0.5, 0.25])
    y = x.clone()
    y.sin_()
    y.mul_(2).add_(1)
    y.sum().backward()
    show(x.grad)


def copy_in_place(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = torch.zeros(2, dtype=torch.float64)
    y.copy_(x * 3)
    y.sum().backward()
    show(x.grad)


def fill_and_zero(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    y.zero_()
    (y + x).sum().backward()
    show(x.grad)


def optimizer_by_hand(torch, show):
    w = leaf(torch, [0.0, 0.0])
    a = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)
    b = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for _ in range(5):
        loss = ((a @ w - b) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.05 * w.grad
            w.grad.zero_()
    show(w, loss)


def grad_of_what_is_frozen(torch, show):
    w = leaf(torch, 2.0)
    w.requires_grad_(False)
    x = leaf(torch, 3.0)
    (w * x).backward()
    show(w.grad, x.grad)
    w.requires_grad = True
    (w * x).backward()
    show(w.grad)


def names_of_nodes(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * x
    show(len(y.grad_fn.next_functions), y.grad_fn.next_functions[0][0] is not None)
    show(isinstance(y.grad_fn.name(), str), y.output_nr, x.output_nr)
