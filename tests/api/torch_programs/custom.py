"""`autograd.Function`."""

from .backward import leaf


def exponential(torch, show):
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y * 2

    x = leaf(torch, [0.5, 1.0])
    y = Exp.apply(x)
    show(y, y.requires_grad)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    show(g, torch.autograd.grad(g.sum(), x))


def arguments_of_all_kinds(torch, show):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k, name, flag=True):
            ctx.k, ctx.name = k, name
            return x * k if flag else x

        @staticmethod
        def backward(ctx, g):
            show(ctx.name, ctx.needs_input_grad)
            return g * ctx.k, None, None, None

    x = leaf(torch, [0.5, 1.0])
    Scale.apply(x, 3.0, "me", True).sum().backward()
    show(x.grad)


def needs_input_grad(torch, show):
    class Mul(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            show(ctx.needs_input_grad)
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            show(ctx.needs_input_grad)
            return (
                g * y if ctx.needs_input_grad[0] else None,
                g * x if ctx.needs_input_grad[1] else None,
            )

    x, y = leaf(torch, 2.0), torch.tensor(3.0, dtype=torch.float64)
    Mul.apply(x, y).backward()
    show(x.grad, y.grad)


def several_results(torch, show):
    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2, x * x

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            show(g, h)
            return g * 2 + h * 2 * x

    x = leaf(torch, 3.0)
    a, b = Both.apply(x)
    (a + b).backward(retain_graph=True)
    show(x.grad)
    a.backward()
    show(x.grad)


def zeros_not_made(torch, show):
    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            show(g is None, h is None)
            return g * 2

    x = leaf(torch, 3.0)
    Both.apply(x)[0].backward()
    show(x.grad)


def not_differentiable(torch, show):
    class Sort(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            k = (x * 0 + 2).floor()
            ctx.mark_non_differentiable(k)
            return x * 2, k

        @staticmethod
        def backward(ctx, g, h):
            show(h)
            return g * 2

    x = leaf(torch, [1.0, 2.0])
    y, k = Sort.apply(x)
    show(y.requires_grad, k.requires_grad)
    y.sum().backward()
    show(x.grad)


def wrong_count(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g

    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    F.apply(x, y).backward()


def too_many(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, g

    F.apply(leaf(torch, 2.0)).backward()


def too_many_nones(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, None

    x = leaf(torch, 2.0)
    F.apply(x).backward()
    show(x.grad)


def wrong_shape(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.ones(3, dtype=torch.float64)

    F.apply(leaf(torch, [1.0, 2.0])).sum().backward()


def no_tensor_returned(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return "gradient"

    F.apply(leaf(torch, 2.0)).backward()


def none_returned(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return None, g

    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    F.apply(x, y).backward()
    show(x.grad, y.grad)


def no_backward(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = leaf(torch, 2.0)
    y = F.apply(x)
    show(y)
    y.backward()


def no_forward(torch, show):
    class F(torch.autograd.Function):
        pass

    F.apply(leaf(torch, 2.0))


def instance_called(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

    F()(leaf(torch, 2.0))


def setup_apart(torch, show):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x * x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, k = inputs
            ctx.save_for_backward(x)
            ctx.k = k

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * ctx.k * g, None

    x = leaf(torch, 3.0)
    Square.apply(x, 5.0).backward()
    show(x.grad)


def differentiated_once(torch, show):
    from importlib import import_module

    once = import_module(torch.autograd.__name__ + ".function").once_differentiable

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = leaf(torch, 3.0)
    (g,) = torch.autograd.grad(F.apply(x), x, create_graph=True)
    show(g)
    torch.autograd.grad(g, x)


def write_to_saved_of_function(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = leaf(torch, 3.0)
    y = x * 1
    z = F.apply(y)
    y.add_(1)
    z.backward()


def second_backward_of_function(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    y = F.apply(leaf(torch, 3.0))
    y.backward()
    y.backward()


def function_in_function(torch, show):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * Derivative.apply(x)

    class Derivative(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 3 * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 6 * x * 100

    x = leaf(torch, 2.0)
    (g,) = torch.autograd.grad(Cube.apply(x), x, create_graph=True)
    show(g, torch.autograd.grad(g, x))


def without_history(torch, show):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            show(x.requires_grad, torch.is_grad_enabled(), ctx.needs_input_grad)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    show(F.apply(torch.tensor(1.0)).requires_grad)
    with torch.no_grad():
        show(F.apply(leaf(torch, 1.0)).requires_grad)
    show(F.apply(leaf(torch, 1.0)).requires_grad)


def identity(torch, show):
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return -g

    x = leaf(torch, [1.0, 2.0])
    (Reverse.apply(x) * 3).sum().backward()
    show(x.grad)


def input_returned(torch, show):
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return -g

    x = leaf(torch, [1.0, 2.0])
    (Reverse.apply(x) * 3).sum().backward()
    show(x.grad)


def saved_attribute(torch, show):
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            ctx.save_for_backward(x, None)
            return x * k

        @staticmethod
        def backward(ctx, g):
            x, nothing = ctx.saved_tensors
            show(x, nothing)
            return g * ctx.k, (g * x).sum()

    x, k = leaf(torch, [1.0, 2.0]), leaf(torch, 3.0)
    Times.apply(x, k).sum().backward()
    show(x.grad, k.grad)
