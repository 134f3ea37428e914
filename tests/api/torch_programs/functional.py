"""`autograd.functional`, `gradcheck`."""

from .backward import leaf


def plain(torch, data):
    return torch.tensor(data, dtype=torch.float64)


def jacobian(torch, show):
    J = torch.autograd.functional.jacobian
    x, y = plain(torch, [1.0, 2.0]), plain(torch, [3.0, 4.0])
    show(J(lambda x: x * x, x))
    show(J(lambda x: (x * x).sum(), x))
    show(J(lambda x, y: x * y, (x, y)))
    show(J(lambda x: (x * 2, x.sum()), x))
    show(J(lambda x, y: (x * y, (x + y).sum()), (x, y)))
    show(J(lambda x: x * x, x, vectorize=True))
    show(J(lambda x, y: (x * y, x.sum()), (x, y), vectorize=True))
    show(J(lambda x: x * x, x, vectorize=True, strategy="forward-mode"))


def jacobian_of_unused(torch, show):
    J = torch.autograd.functional.jacobian
    x, y = plain(torch, [1.0, 2.0]), plain(torch, 3.0)
    show(J(lambda x, y: x * 2, (x, y)))
    J(lambda x, y: x * 2, (x, y), strict=True)


def jacobian_of_constant_strictly(torch, show):
    c = plain(torch, [1.0])
    torch.autograd.functional.jacobian(lambda x: c * 2, c, strict=True)


def jacobian_of_constant(torch, show):
    c = plain(torch, [1.0])
    show(torch.autograd.functional.jacobian(lambda x: c * 2, c))


def jacobian_of_number(torch, show):
    torch.autograd.functional.jacobian(lambda x: 2.0, plain(torch, 1.0))


def jacobian_at_number(torch, show):
    torch.autograd.functional.jacobian(lambda x: x * 2, 1.0)


def jacobian_differentiated(torch, show):
    x = leaf(torch, [1.0, 2.0])
    j = torch.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
    j.sum().backward()
    show(j, x.grad)
    k = torch.autograd.functional.jacobian(lambda x: x**3, x)
    show(k.requires_grad)


def jacobian_forward_strategy_needs_vectorize(torch, show):
    torch.autograd.functional.jacobian(lambda x: x, plain(torch, 1.0), strategy="forward-mode")


def jacobian_wrong_strategy(torch, show):
    torch.autograd.functional.jacobian(lambda x: x, plain(torch, 1.0), strategy="sideways")


def hessian(torch, show):
    H = torch.autograd.functional.hessian
    x, y = plain(torch, [1.0, 2.0]), plain(torch, [3.0, 4.0])
    show(H(lambda x: (x**3).sum(), x))
    show(H(lambda x, y: (x * x * y).sum(), (x, y)))
    show(H(lambda x, y: (x * x).sum(), (x, y)))
    show(H(lambda x: (x**3).sum() * x[0], x, vectorize=True))
    show(H(lambda x: x[0] ** 2 * x[1], x, vectorize=True, outer_jacobian_strategy="forward-mode"))


def hessian_of_vector(torch, show):
    torch.autograd.functional.hessian(lambda x: x * x, plain(torch, [1.0, 2.0]))


def hessian_of_two(torch, show):
    torch.autograd.functional.hessian(lambda x: (x.sum(), x.sum()), plain(torch, [1.0, 2.0]))


def hessian_differentiated(torch, show):
    x = leaf(torch, [1.0, 2.0])
    h = torch.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    show(h, torch.autograd.grad(h.sum(), x))


def vjp(torch, show):
    V = torch.autograd.functional.vjp
    x, y = plain(torch, [1.0, 2.0]), plain(torch, [3.0, 4.0])
    show(V(lambda x: (x * x).sum(), x))
    show(V(lambda x: x * x, x, plain(torch, [1.0, 10.0])))
    show(V(lambda x, y: x * y, (x, y), plain(torch, [1.0, 10.0])))
    show(V(lambda x: (x * 2, x.sum()), x, (plain(torch, [1.0, 10.0]), plain(torch, 1.0))))
    show(V(lambda x, y: x.sum(), (x, y)))


def vjp_without_v(torch, show):
    torch.autograd.functional.vjp(lambda x: x * x, plain(torch, [1.0, 2.0]))


def vjp_wrong_v(torch, show):
    torch.autograd.functional.vjp(lambda x: x * x, plain(torch, [1.0, 2.0]), plain(torch, [1.0]))


def vjp_too_many_v(torch, show):
    v = plain(torch, [1.0, 2.0])
    torch.autograd.functional.vjp(lambda x: x * x, v, (v, v))


def vjp_strict(torch, show):
    x, y = plain(torch, 1.0), plain(torch, 2.0)
    torch.autograd.functional.vjp(lambda x, y: x * x, (x, y), strict=True)


def jvp(torch, show):
    P = torch.autograd.functional.jvp
    x, y = plain(torch, [1.0, 2.0]), plain(torch, [3.0, 4.0])
    show(P(lambda x: x * x, x, plain(torch, [1.0, 10.0])))
    show(P(lambda x, y: x * y, (x, y), (plain(torch, [1.0, 10.0]), plain(torch, [0.0, 1.0]))))
    show(P(lambda x: (x * 2, x.sum()), x, plain(torch, [1.0, 10.0])))
    show(P(lambda x: x * x, plain(torch, 3.0)))
    show(P(lambda x, y: y * 1, (x, y), (y, x)))


def jvp_without_v(torch, show):
    torch.autograd.functional.jvp(lambda x: x.sum(), plain(torch, [1.0, 2.0]))


def jvp_strict(torch, show):
    c = plain(torch, 1.0)
    torch.autograd.functional.jvp(lambda x: c * 2, c, c, strict=True)


def vhp_and_hvp(torch, show):
    x, y = plain(torch, [1.0, 2.0]), plain(torch, [3.0, 4.0])
    v, w = plain(torch, [1.0, 10.0]), plain(torch, [0.5, 1.0])
    for f in (torch.autograd.functional.vhp, torch.autograd.functional.hvp):
        show(f(lambda x: (x**3).sum(), x, v))
        show(f(lambda x, y: (x * x * y).sum(), (x, y), (v, w)))
        show(f(lambda x, y: (x * x).sum(), (x, y), (v, w)))
        show(f(lambda x: x**3, plain(torch, 2.0)))


def hvp_of_vector(torch, show):
    x = plain(torch, [1.0, 2.0])
    torch.autograd.functional.hvp(lambda x: x * x, x, x)


def vhp_wrong_v(torch, show):
    torch.autograd.functional.vhp(
        lambda x: (x * x).sum(), plain(torch, [1.0, 2.0]), plain(torch, 1.0)
    )


def products_differentiated(torch, show):
    x = leaf(torch, [1.0, 2.0])
    v = plain(torch, [1.0, 10.0])
    F = torch.autograd.functional
    for f in (F.vhp, F.hvp):
        value, product = f(lambda x: (x**4).sum(), x, v, create_graph=True)
        show(value, product, torch.autograd.grad(product.sum(), x))
    for f in (F.vjp, F.jvp):
        value, product = f(lambda x: x**4, x, v, create_graph=True)
        show(value, product, torch.autograd.grad(product.sum(), x))
    show(F.vjp(lambda x: x**4, x, v)[1].requires_grad)


def checks(torch, show):
    x = leaf(torch, [0.5, 1.5])
    show(torch.autograd.gradcheck(lambda x: x.sin() * x, (x,)))
    show(torch.autograd.gradcheck(lambda x: (x * 2, x.exp()), x))
    show(torch.autograd.gradgradcheck(lambda x: x.sin() * x, (x,)))


class Wrong:
    @staticmethod
    def of(torch):
        class F(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * x * g

        return F.apply


def check_fails(torch, show):
    torch.autograd.gradcheck(Wrong.of(torch), (leaf(torch, [0.5, 1.5]),))


def check_fails_quietly(torch, show):
    x = leaf(torch, [0.5, 1.5])
    show(torch.autograd.gradcheck(Wrong.of(torch), (x,), raise_exception=False))


def check_of_nothing(torch, show):
    torch.autograd.gradcheck(lambda x: x * x, (plain(torch, [0.5]),))
