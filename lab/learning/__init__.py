"""What supervised tasks share: one LightningModule, optimizers, learning-rate schedules, regularisation."""
