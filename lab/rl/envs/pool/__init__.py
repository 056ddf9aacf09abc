"""EnvPool's environments: as ones of Gymnasium, and as a batch."""
