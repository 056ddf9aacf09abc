"""The network `spiking`: its neurons by hand, its surrogate gradient, and what it refuses."""

import math

import pytest
import torch

from lab.errors import BadSetting
from lab.vision.classify import Classify
from lab.vision.networks.registry import make
from lab.vision.networks.spiking import lif, spike
from lab.vision.plots import classify as draw


def test_spikes_are_those_worked_out_by_hand():
    currents = torch.tensor([[0.6, 1.0, 0.3], [0.6, 0.0, 0.3], [0.6, 2.5, 0.3], [0.6, 0.0, 0.3], [0.0, 0.0, 0.3]])
    # potentials before their resets, with half kept and 1 subtracted by a spike:
    # 0.6, 0.9, 1.05, 0.625, 0.3125;  1, 0, 2.5, 0.75, 0.375;  0.3, 0.45, 0.525, 0.5625, 0.58125
    expected = [[0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert lif(currents, beta=0.5, threshold=1.0).tolist() == expected


def test_the_gradient_of_a_spike_is_the_closed_form_of_the_surrogate():
    above = torch.linspace(-3, 3, 13, requires_grad=True)
    found = spike(above)
    assert found.tolist() == [0.0] * 6 + [1.0] * 7, "exactly 0 or 1, and 1 at the threshold"
    (gradient,) = torch.autograd.grad(found.sum(), above)
    torch.testing.assert_close(gradient, 1 / (1 + (math.pi * above.detach()).square()))


def test_a_gradient_flows_through_time_and_the_reset():
    """Of two steps of one neuron: u1 = c1, s1 = S(u1 - 1), u2 = beta (u1 - s1) + c2, s2 = S(u2 - 1)."""
    currents = torch.tensor([1.2, 0.7], requires_grad=True)
    (gradient,) = torch.autograd.grad(lif(currents, 0.5, 1.0)[1], currents)
    slopes = [1 / (1 + (math.pi * above) ** 2) for above in (1.2 - 1, 0.5 * 0.2 + 0.7 - 1)]
    torch.testing.assert_close(gradient, torch.tensor([slopes[1] * 0.5 * (1 - slopes[0]), slopes[1]]))


def test_logits_are_mean_potentials_of_neurons_that_leak():
    torch.manual_seed(0)
    network, images = (
        make("spiking", 1, 4, 3, settings={"hidden": [9, 6], "steps": 4, "beta": 0.8}),
        torch.randn(5, 1, 4, 4),
    )
    trains = network.spikes(images)
    assert trains.shape == (5, 4, 15)
    assert set(trains.unique().tolist()) == {0.0, 1.0}
    potential, total = torch.zeros(5, 3), torch.zeros(5, 3)
    for step in range(4):
        potential = 0.8 * potential + network.output(trains[:, step, 9:])
        total += potential
    torch.testing.assert_close(network(images), total / 4)


def test_a_higher_threshold_gives_fewer_spikes():
    counts = []
    for threshold in (0.5, 1.0, 100.0):
        torch.manual_seed(0)
        network = make("spiking", 1, 8, 10, settings={"threshold": threshold})
        counts.append(int(network.spikes(torch.randn(20, 1, 8, 8)).sum()))
    assert counts == sorted(counts, reverse=True)
    assert counts[1] > 0 == counts[2]


def test_the_firing_rate_is_the_mean_over_all_images():
    torch.manual_seed(0)
    facts = {"channels": 1, "size": 8, "class_names": [*"abcdefg"], "mean": [0.3], "std": [0.4]}
    module = Classify(**facts, network="spiking").eval()
    images, labels = torch.rand(12, 1, 8, 8), torch.arange(12) % 7
    for part in (slice(0, 10), slice(10, 12)):
        module.evaluate_batch({"image": images[part], "label": labels[part]})
    expected = module.network.spikes(module.normalise(images)).mean()
    torch.testing.assert_close(module.compute_metrics("test")["firing_rate"], expected)


@pytest.mark.slow
def test_the_network_can_be_exported_and_gives_the_same_logits():
    torch.manual_seed(0)
    network, images = make("spiking", 1, 4, 3, settings={"hidden": [8], "steps": 3}).eval(), torch.randn(2, 1, 4, 4)
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), network(images))


def test_each_spike_is_a_dot():
    trains = torch.zeros(2, 5, 7)
    trains[0, 2, 3] = trains[0, 4, 6] = 1
    drawing = draw.spikes(torch.rand(2, 1, 4, 4), trains)
    assert [axes.get_title(loc="left") for axes in drawing.axes[:2]] == ["2 spikes", "0 spikes"]
    (dots,) = drawing.axes[draw.SPIKING].lines
    assert dots.get_xydata().tolist() == [[3, 4], [5, 7]], "steps and neurons count from 1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": []}, "network_args: hidden: expected one layer of spiking neurons or more"),
        ({"beta": 1.0}, "network_args: beta: expected less than 1, found 1.0"),
        ({"threshold": 0}, "network_args: threshold: expected greater than 0, found 0"),
        ({"threshold": math.inf}, "network_args: threshold: expected a finite number, found inf"),
        ({"step": 5}, "network_args: spiking has no argument 'step'; did you mean 'steps'"),
    ],
)
def test_bad_settings_are_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        make("spiking", 1, 8, 10, settings=settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
