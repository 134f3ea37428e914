"""Programs in the manner of PyTorch's tutorials."""

from .backward import leaf


def quadratic(torch, show):
    a, b = leaf(torch, [2.0, 3.0]), leaf(torch, [6.0, 4.0])
    q = 3 * a**3 - b**2
    q.backward(gradient=torch.tensor([1.0, 1.0]))
    show(9 * a**2 == a.grad, -2 * b == b.grad)
    show(a.grad, b.grad)


def logits(torch, show):
    x, y = torch.ones(5), torch.tensor([0.0, 1.0, 0.0])
    w = torch.full((5, 3), 0.25).requires_grad_()
    b = torch.tensor([0.5, -0.5, 1.0], requires_grad=True)
    z = torch.matmul(x, w) + b
    loss = (torch.log(1 + torch.exp(z)) - y * z).mean()
    loss.backward()
    show(loss.detach(), w.grad, b.grad)
    with torch.no_grad():
        show((torch.matmul(x, w) + b).requires_grad)
    show(z.detach().requires_grad)


def jacobian_products(torch, show):
    inp = torch.eye(4, 5).requires_grad_()
    out = (inp + 1).pow(2).t()
    out.backward(torch.ones_like(out), retain_graph=True)
    show(inp.grad)
    out.backward(torch.ones_like(out), retain_graph=True)
    show(inp.grad)
    inp.grad.zero_()
    out.backward(torch.ones_like(out), retain_graph=True)
    show(inp.grad)


def polynomial(torch, show):
    """A sine fitted by hand."""
    x = torch.linspace(-3.0, 3.0, 20)
    y = torch.sin(x)
    weights = [leaf(torch, v) for v in (0.0, 0.5, 0.0, -0.1)]
    for _ in range(5):
        a, b, c, d = weights
        loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for w in weights:
                w -= 1e-4 * w.grad
                w.grad = None
    show(*[w.detach() for w in weights])


def legendre(torch, show):
    class Legendre(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * (5 * x**3 - 3 * x)

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * x**2 - 1)

    a, b = leaf(torch, -0.3), leaf(torch, 0.4)
    x = torch.linspace(-1.0, 1.0, 7)
    y = a + b * Legendre.apply(a + b * x)
    (y**2).sum().backward()
    show(a.grad, b.grad)


def sine_of_saved(torch, show):
    """What is kept between forward and backward is itself differentiated."""

    class Sinh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            up, down = torch.exp(x), torch.exp(-x)
            ctx.save_for_backward(up, down)
            return (up - down) / 2, up, down

        @staticmethod
        def backward(ctx, grad_out, grad_up, grad_down):
            up, down = ctx.saved_tensors
            return grad_out * (up + down) / 2 + grad_up * up - grad_down * down

    x = leaf(torch, [0.5, 1.5])
    out, _, _ = Sinh.apply(x)
    (g,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    show(g.detach())


def cube_with_backward_function(torch, show):
    class CubeBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, g, x):
            ctx.save_for_backward(g, x)
            return g * 3 * x**2

        @staticmethod
        def backward(ctx, gg):
            g, x = ctx.saved_tensors
            return gg * 3 * x**2, gg * g * 6 * x

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return CubeBackward.apply(g, x)

    x = leaf(torch, [1.0, 2.0])
    (g,) = torch.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    show(g.detach(), h.detach())


def frozen(torch, show):
    x, y = torch.ones(2, 2), torch.full((2, 2), 2.0)
    z = leaf(torch, [[3.0, 4.0], [5.0, 6.0]])
    show((x + y).requires_grad, ((x + y) * z).requires_grad)


def newton(torch, show):
    """Second derivatives in a loop."""
    x = leaf(torch, 2.0)
    for _ in range(4):
        f = x**4 - 3 * x**2 + x
        (g,) = torch.autograd.grad(f, x, create_graph=True)
        (h,) = torch.autograd.grad(g, x)
        with torch.no_grad():
            x -= g / h
    show(x.detach())


def physics(torch, show):
    """The residual of a differential equation, and its gradient in the weights."""
    t = leaf(torch, [[0.0], [0.2], [0.4], [0.6], [0.8], [1.0]])
    w1, w2 = leaf(torch, [[0.5, -1.0, 2.0]]), leaf(torch, [[1.0], [0.5], [-0.3]])
    u = torch.tanh(t @ w1) @ w2
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
    loss = ((ddu + du + u) ** 2).mean()
    loss.backward()
    show(loss.detach(), w1.grad, w2.grad)


def reversal(torch, show):
    """Gradients turned around, as in adversarial training of domains."""

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.scale = scale
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return -ctx.scale * g, None

    x = leaf(torch, [1.0, 2.0])
    (Reverse.apply(x, 0.5) * 3.0 + x).sum().backward()
    show(x.grad)


def straight_through(torch, show):
    x = leaf(torch, [0.2, 0.7, -0.4])
    hard = (x > 0).float()
    soft = torch.sigmoid(x)
    y = hard + soft - soft.detach()
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    show(y.detach(), x.grad)


def unrolled_descent(torch, show):
    """The gradient of what descent arrives at, in its rate."""
    rate = leaf(torch, 0.1)
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    v = w
    for _ in range(3):
        (g,) = torch.autograd.grad((v**4).sum(), v, create_graph=True)
        v = v - rate * g
    (v**2).sum().backward()
    show(rate.grad, w.grad)


def hessian_vector_products(torch, show):
    x = leaf(torch, [1.0, 2.0, 3.0])
    v = leaf(torch, [1.0, 0.0, -1.0]).detach()
    (g,) = torch.autograd.grad((x.prod() + (x**3).sum()), x, create_graph=True)
    (hv,) = torch.autograd.grad(g, x, grad_outputs=v, retain_graph=True)
    (hv2,) = torch.autograd.grad(g @ v, x)
    show(hv, hv2)


def influence_of_a_row(torch, show):
    table = leaf(torch, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = table[torch.tensor([2, 0, 2])]
    (rows * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    show(table.grad)


def clipped(torch, show):
    x = leaf(torch, [3.0, 4.0])
    (x * x).sum().backward()
    norm = x.grad.norm()
    with torch.no_grad():
        x.grad.mul_(1.0 / norm)
    show(norm, x.grad)
