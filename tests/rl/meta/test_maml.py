"""MAML: its gradient against autograd and a closed form, its baselines, its data, and that it learns to adapt."""

import pytest
import torch
from lightning import Trainer, seed_everything
from torch.func import functional_call
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.meta.maml import MAML, adaptation
from lab.rl.meta.sine_tasks import SineTasks

COLUMNS = ("support_x", "support_y", "query_x", "query_y")


@pytest.fixture
def batch():
    data = SineTasks(num_tasks=4, val_tasks=2, test_tasks=2, batch_size=4, shots=5)
    data.setup("fit")
    return next(iter(data.train_dataloader()))


def gradient_by_hand(network, batch, lr, steps, first_order):
    """The meta-gradient by autograd's own second derivatives, one task after the other."""
    total = 0.0
    for x, y, query_x, query_y in zip(*(batch[name] for name in COLUMNS), strict=True):
        weights = dict(network.named_parameters())
        for _ in range(steps):
            loss = F.mse_loss(functional_call(network, weights, x), y)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=not first_order)
            weights = {name: each - lr * g for (name, each), g in zip(weights.items(), gradients, strict=True)}
        total = total + F.mse_loss(functional_call(network, weights, query_x), query_y)
    return torch.autograd.grad(total / len(batch["query_x"]), list(network.parameters()))


@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_is_that_of_autograd(batch, first_order):
    torch.manual_seed(0)
    maml = MAML(shots=5, hidden=[8], activation="tanh", inner_lr=0.1, inner_steps=2, first_order=first_order)
    loss, _ = maml.training_loss(batch, 0.0)
    found = torch.autograd.grad(loss, list(maml.network.parameters()))
    expected = gradient_by_hand(maml.network, batch, 0.1, 2, first_order)
    torch.testing.assert_close(found, expected)
    other = gradient_by_hand(maml.network, batch, 0.1, 2, not first_order)
    assert not torch.allclose(found[0], other[0], rtol=1e-2)


def test_the_gradient_of_a_line_has_its_closed_form(batch):
    maml = MAML(shots=5, hidden=[], inner_lr=0.05)
    task = {name: rows[:1] for name, rows in batch.items()}
    loss = maml.query_errors(maml.network, task, torch.tensor(0.05), 1)[:, -1].mean()
    found = torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(maml.network.parameters()))])
    x, query_x = (torch.cat([task[name][0], torch.ones(len(task[name][0]), 1)], 1) for name in ("support_x", "query_x"))
    w = torch.cat([each.detach().flatten() for each in maml.network.parameters()])[:, None]
    hessian = 2 * x.T @ x / len(x)
    adapted = w - 0.05 * 2 * x.T @ (x @ w - task["support_y"][0]) / len(x)
    outer = 2 * query_x.T @ (query_x @ adapted - task["query_y"][0]) / len(query_x)
    torch.testing.assert_close(found, ((torch.eye(2) - 0.05 * hessian) @ outer)[:, 0])


def test_the_baselines_learn_apart(batch):
    """Joint training gets its own loss alone, and the network from scratch none."""
    maml = MAML(shots=5, hidden=[8])
    maml.training_loss(batch, 0.0)[0].backward()
    found = {name: each.grad.clone() for name, each in maml.joint.named_parameters()}
    maml.joint.zero_grad()
    F.mse_loss(maml.joint(batch["query_x"]), batch["query_y"]).backward()
    torch.testing.assert_close(found, {name: each.grad for name, each in maml.joint.named_parameters()})
    assert all(each.grad is None for each in maml.scratch.parameters())
    torch.testing.assert_close(dict(maml.scratch.named_parameters()), dict(maml.network.named_parameters()))


def test_adaptation_leaves_the_network_as_it_is(batch):
    maml = MAML(shots=5)
    before = [each.clone() for each in maml.network.parameters()]
    path = adaptation(maml.network, batch["support_x"][0], batch["support_y"][0], torch.tensor(0.1), 3, True)
    assert len(path) == 4
    torch.testing.assert_close(before, list(maml.network.parameters()))


def test_tasks_are_sines_and_differ_between_the_parts():
    data = SineTasks(num_tasks=3, val_tasks=2, test_tasks=2, shots=200)
    for split in ("train", "val", "test"):
        part = data.part(split)
        for x, y in zip(part["support_x"], part["support_y"], strict=True):
            basis = torch.cat([x.sin(), x.cos()], 1)
            found = torch.linalg.lstsq(basis, y).solution
            assert (basis @ found - y).abs().max() < 1e-4
            assert 0.1 <= found.norm() <= 5
    assert not torch.equal(data.part("val")["support_y"][:2], data.part("test")["support_y"][:2])
    assert torch.equal(data.part("test")["query_y"], SineTasks(test_tasks=2, shots=200).part("test")["query_y"])


def test_compiling_is_refused():
    with pytest.raises(BadSetting, match="leave it out"):
        MAML(shots=5).compile()


@pytest.mark.long
def test_it_adapts_and_the_baselines_do_not():
    seed_everything(0)
    data = SineTasks(num_tasks=50_000, test_tasks=300)
    maml = MAML(shots=10, lr=2e-3)
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(maml, datamodule=data)
    (found,) = trainer.test(maml, datamodule=data, verbose=False)
    assert found["test/mse_after_5"] < 1.0 < 1.5 < found["test/joint/mse_after_5"]
    assert found["test/mse_after_5"] < 0.5 * found["test/mse_after_0"]
