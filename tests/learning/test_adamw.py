"""The optimiser of every task with one loss is torch's AdamW."""

from __future__ import annotations

from copy import deepcopy

import torch

from lab.learning.adamw import AdamW


def stepped(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor], begin: int, steps: int) -> None:
    """Steps down a sum of squares; the last weight has no gradient in the first three, and then in every other step."""
    for i in range(begin, begin + steps):
        optimizer.zero_grad()
        used = weights[: None if i > 2 and i % 2 else -1]
        sum(((weight - 1).square().sum() for weight in used), torch.zeros(())).backward()
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + i)
        optimizer.step()


def test_the_numbers_are_torchs_own() -> None:
    begin = [torch.randn(3, 2), torch.randn(4), torch.randn(2)]
    ours, theirs = ([weight.clone().requires_grad_() for weight in begin] for _ in range(2))
    mine, own = AdamW(ours, 0.1, 0.02), torch.optim.AdamW(theirs, 0.1, weight_decay=0.02, fused=True)
    stepped(mine, ours, 0, 8)
    stepped(own, theirs, 0, 8)
    assert all(torch.equal(weight, other) for weight, other in zip(ours, theirs, strict=True))
    mine.load_state_dict(deepcopy(own.state_dict()))  # a checkpoint of either goes on with the other
    stepped(mine, ours, 8, 3)
    stepped(own, theirs, 8, 3)
    assert all(torch.equal(weight, other) for weight, other in zip(ours, theirs, strict=True))


def test_parameters_of_two_types_are_left_to_torch() -> None:
    begin = [torch.ones(3), torch.ones(3, dtype=torch.float64)]
    ours, theirs = ([weight.clone().requires_grad_() for weight in begin] for _ in range(2))
    for optimizer, weights in (
        (AdamW(ours, 0.1, 0.02), ours),
        (torch.optim.AdamW(theirs, 0.1, weight_decay=0.02, fused=True), theirs),
    ):
        for _ in range(3):
            optimizer.zero_grad()
            sum((weight.square().sum() for weight in weights), torch.zeros(())).backward()
            optimizer.step()
    assert all(torch.equal(weight, other) for weight, other in zip(ours, theirs, strict=True))


def test_a_step_returns_the_loss_and_runs_its_hooks() -> None:
    weight, calls = torch.ones(2, requires_grad=True), list[str]()
    torch.optim.AdamW([weight])  # from now on its class runs hooks, too
    optimizer = AdamW([weight], 0.1, 0.0)
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert float(optimizer.step(closure)) < float(first)
    assert calls == ["after", "after"]


def test_gradients_are_removed_or_set_to_zero() -> None:
    weight = torch.ones(2, requires_grad=True)
    optimizer = AdamW([weight], 0.1, 0.0)
    weight.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad is not None
    assert weight.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert weight.grad is None


def test_a_copy_moves_its_own_weights() -> None:
    weight = torch.zeros(2, requires_grad=True)
    optimizer = AdamW([weight], 0.1, 0.0)
    stepped(optimizer, [weight, weight], 3, 2)
    other = deepcopy(optimizer)
    own, before = other.param_groups[0]["params"][0], weight.tolist()
    stepped(other, [own, own], 5, 2)
    assert weight.tolist() == before != own.tolist()
    stepped(optimizer, [weight, weight], 5, 2)
    assert weight.tolist() == own.tolist()
