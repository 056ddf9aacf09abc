"""The task `deep_belief`: its machine against all states that there are, its layers one by one, and as a classifier."""

import itertools

import pytest
import torch
from lightning import Trainer

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.image_data import ImageData
from lab.vision.deep_belief import DeepBelief
from lab.vision.networks.rbm import RBM
from lab.vision.networks.registry import make
from lab.vision.plots import deep_belief as draw

FACTS = {"channels": 1, "size": 8, "mean": [0.3], "std": [0.4]}


def states(units):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)))


def machine(visible, hidden, spread=1.0):
    return RBM(*(torch.randn(shape) * spread for shape in ((hidden, visible), (hidden,), (visible,))))


def energies(rbm, visible, hidden):
    """E(v, h) for all pairs, (V, H)."""
    return -(visible @ rbm.visible_bias)[:, None] - hidden @ rbm.hidden_bias - visible @ rbm.weight.T @ hidden.T


@torch.no_grad()
def log_likelihood(rbm, rows):
    """The exact mean of log p(v), by the sum over all states."""
    everything = states(len(rbm.visible_bias))
    return float((-rbm.free_energy(rows) - (-rbm.free_energy(everything)).logsumexp(0)).mean())


# ---- the machine -----------------------------------------------------------------------------------------------------


def test_the_free_energy_sums_all_hidden_states():
    torch.manual_seed(0)
    rbm, visible = machine(5, 4), states(5)
    every = energies(rbm, visible, states(4))
    torch.testing.assert_close(rbm.free_energy(visible), -(-every).logsumexp(1))
    torch.testing.assert_close(rbm.hidden(visible), (-every).softmax(1) @ states(4))
    torch.testing.assert_close(rbm.visible(states(4)), (-every).softmax(0).T @ visible)


def test_gibbs_sampling_has_the_distribution_of_the_machine():
    torch.manual_seed(0)
    rbm, visible = machine(3, 2), states(3)
    found = rbm.gibbs(torch.zeros(40_000, 3), 30)
    shares = (found[:, None] == visible).all(2).float().mean(0)
    torch.testing.assert_close(shares, (-rbm.free_energy(visible)).softmax(0), atol=0.01, rtol=0)


def test_the_gradient_is_the_difference_of_the_statistics():
    """Of data and of what the chain ends with: the probability of a hidden unit times the visible one."""
    torch.manual_seed(0)
    rbm = RBM(*(part.requires_grad_() for part in machine(6, 4)))
    data = torch.rand(7, 6).bernoulli()
    torch.manual_seed(1)
    rbm.contrastive_divergence(data, 2).backward()
    with torch.no_grad():
        torch.manual_seed(1)
        end = rbm.gibbs(data, 2)
        up, again = rbm.hidden(data), rbm.hidden(end)
        torch.testing.assert_close(rbm.weight.grad, (again.T @ end - up.T @ data) / 7)
        torch.testing.assert_close(rbm.hidden_bias.grad, (again - up).mean(0))
        torch.testing.assert_close(rbm.visible_bias.grad, (end - data).mean(0))


def test_a_machine_learns_bars_and_stripes():
    """Of 512 images of 3 x 3 pixels, 14 have rows or columns alone: log p is -6.24 at first and -2.64 at best."""
    torch.manual_seed(0)
    rows = states(3)[:, :, None].expand(-1, 3, 3)
    data = torch.cat([rows, rows.mT]).flatten(1).unique(dim=0)
    rbm = RBM(*(part.requires_grad_() for part in machine(9, 16, 0.1)))
    optimizer = torch.optim.Adam(list(rbm), 0.03)
    before = log_likelihood(rbm, data)
    for _ in range(1_500):
        optimizer.zero_grad()
        rbm.contrastive_divergence(data.repeat(5, 1), 5).backward()
        optimizer.step()
    assert before < -6
    assert log_likelihood(rbm, data) > -3.3


# ---- the layers ------------------------------------------------------------------------------------------------------


def test_the_lowest_machine_is_what_the_network_does_with_binary_pixels():
    torch.manual_seed(0)
    module = DeepBelief(**FACTS, hidden=[12, 7, 5])
    images = torch.rand(4, 1, 8, 8).bernoulli()
    units = images.flatten(1)
    for i in range(3):
        units = module.machine(i).hidden(units)
    torch.testing.assert_close(module(images), units)


@pytest.mark.parametrize(("progress", "trained"), [(0.0, 0), (0.4, 1), (0.7, 2), (1.0, 2)])
def test_one_layer_learns_at_a_time(progress, trained):
    torch.manual_seed(0)
    module = DeepBelief(**FACTS, hidden=[12, 7, 5])
    loss, _ = module.training_loss({"image": torch.rand(4, 1, 8, 8)}, progress)
    loss.backward()
    moved = [[layer.weight.grad is not None, layer.bias.grad is not None] for layer in module.layers]
    assert moved == [[i == trained] * 2 for i in range(3)]
    assert [bias.grad is not None for bias in module.visible_bias] == [i == trained for i in range(3)]


def test_a_classifier_has_the_same_layers():
    torch.manual_seed(0)
    module = DeepBelief(**FACTS, hidden=[12, 7])
    classifier = make("mlp", 1, 8, 10, settings={"hidden": [12, 7], "activation": "sigmoid"})
    missing, unexpected = classifier.load_state_dict(module.network.state_dict(), strict=False)
    assert (missing, unexpected) == (["5.weight", "5.bias"], [])
    images = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(classifier[:-1](module.normalise(images)), module(images))


def test_samples_are_those_of_the_machine_and_leave_the_generator_alone():
    torch.manual_seed(0)
    module = DeepBelief(**FACTS, hidden=[12], sampling_steps=40)
    with torch.no_grad():
        module.layers[0].bias.fill_(0.3)
        module.visible_bias[0].copy_(torch.linspace(-3, 3, 64))
    before = torch.get_rng_state()
    found = module.sample(3_000)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(found, module.sample(3_000))
    assert not torch.equal(found, module.sample(3_000, seed=1))
    with torch.no_grad():
        expected = module.machine(0).gibbs(torch.zeros(3_000, 64), 40).mean(0)
    torch.testing.assert_close(found.flatten(1).mean(0), expected, atol=0.04, rtol=0)


@pytest.mark.slow
def test_digits_come_back_through_two_layers(tmp_path):
    """The mean image has an error of 0.074."""
    torch.manual_seed(0)
    data = ImageData("digits", batch_size=32)
    facts = {name: data.facts()[name] for name in FACTS}
    module = DeepBelief(**facts, hidden=[128, 64])
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, max_epochs=40, **silent)
    trainer.fit(module, data)
    (found,) = trainer.validate(module, data, verbose=False)
    assert found["val/mse"] < 0.05, "0.035 where it was measured"
    images = data.part("val")["image"].float() / 255
    with torch.no_grad():
        errors = [float((module.reconstruct(images, depth) - images).square().mean()) for depth in (1, 2)]
    assert errors[0] < 0.03
    torch.testing.assert_close(errors[1], float(found["val/mse"]), atol=1e-4, rtol=0)


# ---- plots and refusals ----------------------------------------------------------------------------------------------


def test_a_field_is_grey_where_a_weight_is_zero():
    weights = torch.zeros(2, 1, 4, 4)
    weights[0, 0, 1, 2], weights[1, 0, 0, 0] = 5.0, -0.1
    drawing = draw.receptive_fields([weights])
    (axes,) = drawing.axes
    shown = axes.images[0].get_array()
    assert (float(shown[1, 2, 0]), float(shown[3, 3, 0]), float(shown[0, 5, 0])) == (1.0, 0.5, 0.0)
    assert axes.get_title(loc="left") == "Layer 1: 2 of 2 units"


def test_a_unit_of_the_second_layer_sees_pixels_through_the_first():
    torch.manual_seed(0)
    module = DeepBelief(**FACTS, hidden=[6, 3])
    first, second = module.receptive_fields()
    torch.testing.assert_close(second.flatten(1), module.layers[1].weight.detach() @ first.flatten(1))
    assert second.shape == (3, 1, 8, 8)


def test_a_run_without_an_end_is_refused_by_a_check():
    with pytest.raises(RecipeError, match="trainer: each layer gets a share of the run, which needs max_epochs or max"):
        assemble(load(find_recipe("deep_belief_digits"), ["trainer.max_epochs=-1", "trainer.max_time=00:00:01:00"]))
