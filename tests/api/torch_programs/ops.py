"""Gradients of operations by their PyTorch names."""

from .backward import leaf


def pulled(torch, show, function, *data):
    """The gradients of a weighted sum of what a function of leaves returns."""
    xs = [leaf(torch, d) for d in data]
    out = function(*xs)
    outs = out if isinstance(out, (tuple, list)) else [out]
    total = 0.0
    for y in outs:
        if y.is_floating_point():
            weights = torch.arange(1, y.numel() + 1, dtype=torch.float64).reshape(y.shape)
            total = total + (y * weights).sum()
    show(*torch.autograd.grad(total, xs, allow_unused=True))


A = [[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]]
B = [[1.5, 0.5, -2.5], [0.3, 2.0, 1.0]]


def softmaxes(torch, show):
    pulled(torch, show, lambda x: torch.softmax(x, dim=1), A)
    pulled(torch, show, lambda x: x.softmax(0), A)
    pulled(torch, show, lambda x: x.log_softmax(-1), A)
    pulled(torch, show, lambda x: torch.logsumexp(x, 1), A)


def scans(torch, show):
    pulled(torch, show, lambda x: torch.cumsum(x, dim=1), A)
    pulled(torch, show, lambda x: x.cumprod(0), A)


def joins(torch, show):
    pulled(torch, show, lambda x, y: torch.cat([x, y], dim=1), A, B)
    pulled(torch, show, lambda x, y: torch.stack([x, y], dim=1), A, B)
    pulled(torch, show, lambda x: torch.split(x, 2, dim=1), A)
    pulled(torch, show, lambda x: x.unbind(1), A)
    pulled(torch, show, lambda x: torch.chunk(x, 2, dim=1), A)


def shapes(torch, show):
    pulled(torch, show, lambda x: x.t() @ x, A)
    pulled(torch, show, lambda x: x.permute(1, 0).reshape(2, 3), A)
    pulled(torch, show, lambda x: x.view(3, 2), A)
    pulled(torch, show, lambda x: x.unsqueeze(0).expand(2, 2, 3), A)
    pulled(torch, show, lambda x: x.flatten().flip(0), A)
    pulled(torch, show, lambda x: x.repeat(2, 1), A)
    pulled(torch, show, lambda x: torch.roll(x, 1, 1), A)
    pulled(torch, show, lambda x: x.swapaxes(0, 1).squeeze(), A)


def products(torch, show):
    pulled(torch, show, lambda x, y: torch.einsum("ij,kj->ik", x, y), A, B)
    pulled(torch, show, lambda x, y: torch.matmul(x, y.t()), A, B)
    pulled(torch, show, lambda x, y: torch.outer(x[0], y[1]), A, B)
    pulled(torch, show, lambda x, y: torch.dot(x[0], y[1]), A, B)
    pulled(torch, show, lambda x, y: x.unsqueeze(0).bmm(y.t().unsqueeze(0)), A, B)


def reductions(torch, show):
    pulled(torch, show, lambda x: x.mean(), A)
    pulled(torch, show, lambda x: x.sum(1, keepdim=True), A)
    pulled(torch, show, lambda x: x.mean(0), A)
    pulled(torch, show, lambda x: x.var(unbiased=True), A)
    pulled(torch, show, lambda x: torch.prod(x, 1), A)
    pulled(torch, show, lambda x: x.norm(), A)
    pulled(torch, show, lambda x: x.amax(1), A)
    pulled(torch, show, lambda x: x.amin(dim=0), A)


def gathering(torch, show):
    index = torch.tensor([[0, 2], [1, 1]])
    pulled(torch, show, lambda x: x.gather(1, index), A)
    pulled(torch, show, lambda x: x.index_select(1, torch.tensor([2, 0, 2])), A)
    pulled(torch, show, lambda x: x[:, [0, 2]], A)
    pulled(torch, show, lambda x: x[x > 0], A)
    pulled(torch, show, lambda x: x.masked_fill(x > 0, 7.0), A)
    pulled(torch, show, lambda x, y: torch.where(x > y, x, y * 2), A, B)
    pulled(torch, show, lambda x: x.tril() + x.triu(1), A)


def elementwise(torch, show):
    for name in ("sin", "cos", "exp", "tanh", "sigmoid", "square", "abs", "atan", "erf", "expm1"):
        pulled(torch, show, getattr(torch, name), A)
    for name in ("sqrt", "log", "rsqrt", "reciprocal", "log1p", "log2"):
        pulled(torch, show, getattr(torch, name), [0.5, 1.0, 2.0])
    pulled(torch, show, lambda x: x.pow(3) + 2**x, A)
    pulled(torch, show, lambda x, y: torch.atan2(x, y), A, B)
    pulled(torch, show, lambda x, y: torch.maximum(x, y) - torch.minimum(x, y), A, B)
    pulled(torch, show, lambda x: x.clamp(min=-1.0, max=1.0), A)
    pulled(torch, show, lambda x: x.relu() + x.floor() + x.sign() + x.round(), A)
    pulled(torch, show, lambda x, y: x / y + x % 2.0, A, B)


def training(torch, show):
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[1.0], [1.0], [0.0], [0.0]], dtype=torch.float64)
    w = leaf(torch, [[0.5, -0.6, 0.1], [-0.4, 0.7, 0.3]])
    b = leaf(torch, [0.1, -0.1, 0.2])
    v = leaf(torch, [[0.3], [-0.2], [0.6]])
    losses = []
    for _ in range(20):
        hidden = torch.tanh(x @ w + b)
        loss = ((torch.sigmoid(hidden @ v) - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in (w, b, v):
                p -= 2.0 * p.grad
                p.grad = None
        losses.append(loss.item())
    show(losses[0], losses[-1], w, b, v)


def per_example(torch, show):
    x = leaf(torch, A)
    w = leaf(torch, [1.0, -0.5, 0.25])
    losses = (torch.tanh(x @ w) ** 2).sum() * torch.ones(2, dtype=torch.float64)
    show([torch.autograd.grad(loss, w, retain_graph=True)[0] for loss in losses.unbind()])


def meta_step(torch, show):
    w, rate = leaf(torch, [1.0, 2.0]), leaf(torch, 0.1)
    inner = (w**2).sum()
    (g,) = torch.autograd.grad(inner, w, create_graph=True)
    after = w - rate * g
    outer = (after**3).sum()
    outer.backward()
    show(w.grad, rate.grad)
