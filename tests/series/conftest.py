"""What tests of sequences share."""

import pytest
from lightning import Trainer

from lab import plots


@pytest.fixture
def fitted(monkeypatch):
    """Trains and tests: `metrics, pictures = fitted(module, data, max_epochs=3)`, without tracking."""

    def fit(module, data, **settings):
        drawn = {}
        monkeypatch.setattr(plots, "log_figure", lambda _, name, picture: drawn.update({name: picture}))
        silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            logger=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            **silent,
            **settings,
        )
        trainer.fit(module, data)
        (metrics,) = trainer.test(module, data, verbose=False)
        return metrics, drawn

    return fit
