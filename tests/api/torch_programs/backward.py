"""`backward`, `grad` and leaves."""


def leaf(torch, data):
    return torch.tensor(data, dtype=torch.float64, requires_grad=True)


def backward_of_a_sum(torch, show):
    x, y = leaf(torch, [1.0, 2.0]), leaf(torch, [3.0, 5.0])
    (x * x * y).sum().backward()
    show(x.grad, y.grad)


def accumulation(torch, show):
    x = leaf(torch, 2.0)
    (x * x).backward()
    (x * x * x).backward()
    show(x.grad)
    x.grad.zero_()
    (3 * x).backward()
    show(x.grad)
    x.grad = None
    (4 * x).backward()
    show(x.grad)


def set_grad_by_hand(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.grad = torch.tensor([10.0, 20.0], dtype=torch.float64)
    x.sum().backward()
    show(x.grad)


def wrong_grad_by_hand(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.grad = torch.tensor([10.0], dtype=torch.float64)


def grad_by_hand_of_no_tensor(torch, show):
    x = leaf(torch, [1.0, 2.0])
    x.grad = 3.0


def cotangent_given(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * x
    y.backward(torch.tensor([1.0, 10.0], dtype=torch.float64))
    show(x.grad)
    y = x * x
    y.backward(gradient=torch.tensor([1.0, 10.0], dtype=torch.float64), retain_graph=True)
    torch.autograd.backward(y, torch.tensor([1.0, 1.0], dtype=torch.float64))
    show(x.grad)


def several_outputs(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y, z = (x * x).sum(), x * 3
    torch.autograd.backward([y, z], [None, torch.tensor([1.0, 2.0], dtype=torch.float64)])
    show(x.grad)


def same_output_twice(torch, show):
    x = leaf(torch, 3.0)
    y = x * x
    torch.autograd.backward([y, y])
    show(x.grad)
    show(torch.autograd.grad([x * x, x * x * x], x))


def several_outputs_too_few_gradients(torch, show):
    x = leaf(torch, [1.0, 2.0])
    torch.autograd.backward([x.sum(), x.sum()], [None])


def not_scalar(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x).backward()


def one_element_is_scalar(torch, show):
    x = leaf(torch, [[2.0]])
    (x * x).backward()
    show(x.grad)


def cotangent_of_wrong_shape(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x).backward(torch.ones(3, dtype=torch.float64))


def cotangent_that_broadcasts(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x).backward(torch.tensor(1.0, dtype=torch.float64))


def cotangent_no_tensor(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x).backward(1.0)


def cotangent_of_other_dtype(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x).backward(torch.tensor([1.0, 2.0], dtype=torch.float32))
    show(x.grad, str(x.grad.dtype).split(".")[-1].lower())


def second_backward(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    y.backward()
    y.backward()


def second_backward_with_shared_part(torch, show):
    x = leaf(torch, 2.0)
    h = x.exp()
    a, b = h * 2, h * 3
    a.backward()
    b.backward()


def second_backward_retained(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    show(x.grad)


def no_saved_values_go_twice(torch, show):
    x = leaf(torch, 2.0)
    y = x + 1
    y.backward()
    y.backward()
    show(x.grad)


def no_history(torch, show):
    torch.tensor(1.0).backward()


def grad_returns_a_tuple(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    z = x * x * y
    show(torch.autograd.grad(z, (x, y), retain_graph=True))
    show(torch.autograd.grad(z, x, retain_graph=True))
    show(torch.autograd.grad([z], [y]))
    show(x.grad)


def grad_outputs_of_several(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y, z = x * x, x.sum()
    g = torch.tensor([1.0, 10.0], dtype=torch.float64)
    show(torch.autograd.grad((y, z), x, grad_outputs=(g, torch.tensor(2.0, dtype=torch.float64))))
    show(torch.autograd.grad((x * x, x.sum()), x, grad_outputs=(g, None)))


def grad_of_unused(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    torch.autograd.grad(x * x, [x, y])


def grad_of_unused_allowed(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    show(torch.autograd.grad(x * x, [x, y], allow_unused=True))
    show(torch.autograd.grad(x * x, [x, y], materialize_grads=True))


def grad_materialized_but_not_allowed(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    torch.autograd.grad(x * x, [x, y], allow_unused=False, materialize_grads=True)


def grad_of_constant(torch, show):
    x = leaf(torch, 2.0)
    torch.autograd.grad(x * x, torch.tensor(1.0))


def grad_of_no_inputs(torch, show):
    x = leaf(torch, 2.0)
    torch.autograd.grad(x * x, [])


def grad_of_intermediate(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y = x * x
    z = (y.exp()).sum()
    show(torch.autograd.grad(z, [y, x]))


def grad_with_respect_to_itself(torch, show):
    x = leaf(torch, 2.0)
    show(torch.autograd.grad(x, x))
    y = x * x
    show(torch.autograd.grad(y, [y, x], retain_graph=True))


def grad_frees(torch, show):
    x = leaf(torch, 2.0)
    y = x * x
    torch.autograd.grad(y, x)
    torch.autograd.grad(y, x)


def inputs_of_backward(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    (x * y).backward(inputs=[x])
    show(x.grad, y.grad)
    (x * y).backward(inputs=y)
    show(x.grad, y.grad)


def no_inputs_of_backward(torch, show):
    x = leaf(torch, 2.0)
    (x * x).backward(inputs=[])


def unreached_inputs_of_backward(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 3.0)
    (x * x).backward(inputs=[x, y])
    show(x.grad, y.grad)


def create_graph(torch, show):
    x = leaf(torch, [0.5, 1.5])
    y = (x**4).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    show(g, g.requires_grad)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = torch.autograd.grad(h.sum(), x, create_graph=True)
    (m,) = torch.autograd.grad(k.sum(), x)
    show(h, k, m)


def gradient_penalty(torch, show):
    x, w = leaf(torch, [1.0, 2.0]), leaf(torch, [0.5, -0.3])
    y = (x * w).tanh().sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (g.norm() ** 2 + y).backward()
    show(x.grad, w.grad)


def create_graph_through_backward(torch, show):
    x = leaf(torch, 2.0)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.backward()
    show(g, x.grad)


def without_create_graph(torch, show):
    x = leaf(torch, 2.0)
    (g,) = torch.autograd.grad(x**3, x)
    show(g.requires_grad)
    torch.autograd.grad(g, x)


def double_backward_of_linear(torch, show):
    x = leaf(torch, 2.0)
    (g,) = torch.autograd.grad(3 * x, x, create_graph=True)
    show(g.requires_grad)


def batched_gradients(torch, show):
    x = leaf(torch, [1.0, 2.0, 3.0])
    y = x * x * x.sum()
    eye = torch.eye(3, dtype=torch.float64)
    show(torch.autograd.grad(y, x, grad_outputs=eye, is_grads_batched=True))


def batched_gradients_of_two(torch, show):
    x, w = leaf(torch, [1.0, 2.0]), leaf(torch, 3.0)
    y = x * x * w
    g = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    show(
        torch.autograd.grad(
            [y, x.sum() * w], [x, w], grad_outputs=[g, g[:, 0]], is_grads_batched=True
        )
    )


def leaves(torch, show):
    x = leaf(torch, [1.0, 2.0])
    y, z = x * 2, torch.tensor([1.0])
    show(x.is_leaf, y.is_leaf, z.is_leaf, x.requires_grad, y.requires_grad, z.requires_grad)
    show(x.grad_fn is None, y.grad_fn is None, x.retains_grad, y.retains_grad)
    y.retain_grad()
    show(y.retains_grad)
    z.requires_grad_()
    show(z.requires_grad, z.is_leaf)
    show(y.detach().requires_grad, y.detach().is_leaf, y.clone().requires_grad)


def integers_need_no_gradient(torch, show):
    torch.tensor([1, 2], requires_grad=True)


def integers_need_no_gradient_later(torch, show):
    torch.tensor([1, 2]).requires_grad_()


def not_a_leaf_any_more(torch, show):
    x = leaf(torch, 1.0)
    (x * 2).requires_grad_(False)


def detached(torch, show):
    x = leaf(torch, [1.0, 2.0])
    (x * x.detach()).sum().backward()
    show(x.grad)
    y = x * x
    y.detach_()
    show(y.requires_grad, y.is_leaf)
    y.sum().backward()


def unreached_leaf_has_no_grad(torch, show):
    x, y = leaf(torch, 2.0), leaf(torch, 2.0)
    (x * x).backward()
    show(x.grad, y.grad)


def item_and_numpy(torch, show):
    x = leaf(torch, [2.0])
    show(x.item(), x.tolist(), x.detach().numpy().tolist())


def copies(torch, show):
    import copy

    x = leaf(torch, [1.0, 2.0])
    y = copy.deepcopy(x)
    (y * y).sum().backward()
    show(x.grad, y.grad, y.is_leaf)
    copy.deepcopy(x * 2)


def integers_in_between(torch, show):
    x = leaf(torch, [1.7, 2.2])
    k = x.long()
    show(k.requires_grad)
    (x * k).sum().backward()
    show(x.grad)


def comparison_is_constant(torch, show):
    x = leaf(torch, [1.0, -2.0])
    y = torch.where(x > 0, x * 2, x * 3)
    y.sum().backward()
    show(x.grad, (x > 0).requires_grad)


def indices(torch, show):
    x = leaf(torch, [1.0, 2.0, 3.0, 4.0])
    (x[1:3] * 2).sum().backward()
    x[torch.tensor([0, 0, 3])].sum().backward()
    x[-1].backward()
    show(x.grad)


def broadcasting(torch, show):
    x, y = leaf(torch, [[1.0], [2.0]]), leaf(torch, [3.0, 4.0, 5.0])
    (x * y).sum().backward()
    show(x.grad, y.grad)


def products(torch, show):
    a, b = leaf(torch, [[1.0, 2.0], [3.0, 4.0]]), leaf(torch, [[0.5], [0.25]])
    (a @ b).sum().backward()
    show(a.grad, b.grad)
    v = leaf(torch, [1.0, 2.0])
    (a.detach() @ v).sum().backward()
    v.dot(v).backward()
    show(v.grad)


def dtypes(torch, show):
    x = torch.tensor([1.0, 2.0], dtype=torch.float32, requires_grad=True)
    y = leaf(torch, [3.0, 4.0])
    (x * y).sum().backward()
    show(x.grad, y.grad, str(x.grad.dtype)[-2:], str(y.grad.dtype)[-2:])


def ties(torch, show):
    x = leaf(torch, [1.0, 3.0, 3.0])
    x.amax().backward()
    show(x.grad)
    x.grad = None
    x.max().backward()
    show(x.grad)
    x.grad = None
    torch.maximum(x, torch.tensor(3.0, dtype=torch.float64)).sum().backward()
    show(x.grad)
    x.grad = None
    x.clamp(1.0, 3.0).sum().backward()
    show(x.grad)


def edges(torch, show):
    x = leaf(torch, [0.0])
    for f in (torch.sqrt, torch.log, torch.abs, torch.relu):
        x.grad = None
        f(x).sum().backward()
        show(x.grad)
    x.grad = None
    torch.prod(torch.cat([x, torch.tensor([2.0, 3.0], dtype=torch.float64)])).backward()
    show(x.grad)


def empty_tensors(torch, show):
    x = torch.zeros((0, 3), dtype=torch.float64, requires_grad=True)
    (x * x).sum().backward()
    show(list(x.grad.shape))
