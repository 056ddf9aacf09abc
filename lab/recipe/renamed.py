"""Keys of recipes that had another name before: an old one is refused with the new name, nothing is converted."""

from __future__ import annotations

from collections.abc import Container

# old dotted key -> new dotted key, both in one section
RENAMED: dict[str, str] = {
    "data.images": "data.max_images",
    "data.labels": "data.num_labeled",
    "model.way": "model.method",
    "model.shape": "model.heatmap_weight",
    "model.width": "model.normalize_by",
    "model.code": "model.latent_dim",
    "model.disturb": "model.corruption",
    "model.prompted": "model.prompt_prob",
    "model.dim": "model.embed_dim",
    "model.latent": "model.latent_dim",
    "model.ema": "model.ema_decay",
    "model.smoothing": "model.label_smoothing",
    "model.spectral": "model.spectral_norm",
}


def renamed(key: str, known: Container[str]) -> str | None:
    """The name that the last part of a dotted key has now, if a section that knows these keys has it.

    The old word may belong to somebody's own task, so a name that the constructor does not know is no answer.
    """
    section, _, old = key.rpartition(".")
    new_section, _, new = RENAMED.get(key, "").rpartition(".")
    return new if new and new != old and new_section == section and new in known else None
