"""Gradient norms and dead units of layers: counted, kept for a resumed run, and without effect on what is learnt."""

import pytest
import torch
from lightning import Trainer
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lab.learning import LayerStatistics, SupervisedModule
from lab.learning.plots import layer_statistics
from lab.networks import MLP


class Line(SupervisedModule):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.network = MLP(2, [8, 8], 1)
        with torch.no_grad():
            self.network[0].bias[:2] = -100  # two units of eight that no input reaches
            self.network[0].bias[2:] = 1

    def training_loss(self, batch, progress):  # noqa: ARG002
        return F.mse_loss(self.network(batch[0]), batch[1])

    def evaluate_batch(self, batch):
        return {"loss": (self.network(batch[0]) - batch[1]).square().squeeze(1)}


def trained(*callbacks):
    torch.manual_seed(0)
    module, x = Line(), torch.randn(64, 2)
    rows = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), 16)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "accelerator": "cpu"}
    Trainer(max_epochs=2, callbacks=list(callbacks), **quiet).fit(module, rows, rows)
    return module


@pytest.mark.slow
def test_layers_are_measured_and_nothing_else_is_learnt():
    seen = LayerStatistics(every=2)
    measured, plain = trained(seen), trained()
    assert all(torch.equal(one, other) for one, other in zip(measured.parameters(), plain.parameters(), strict=True))
    assert seen.steps == [0, 2, 4, 6]
    assert {key: len(values) for key, values in seen.norms.items()} == {"0": 4, "2": 4, "4": 4}
    assert min(map(min, seen.norms.values())) > 0
    assert seen.dead["1"] == pytest.approx(0.25)
    assert seen.dead.keys() == {"1", "3"}
    assert not any(layer._forward_hooks for layer in measured.modules())
    again = LayerStatistics()
    again.load_state_dict(seen.state_dict())
    assert (again.steps, again.norms, again.dead) == (seen.steps, seen.norms, seen.dead)


def test_the_plot_names_each_layer():
    drawing = layer_statistics([0, 10], {"0": [1.0, 0.1], "2": [0.0, 0.2]}, {"1": 0.25})
    left, right = drawing.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["0", "2"]
    assert right.texts[0].get_text() == " 25 %"
