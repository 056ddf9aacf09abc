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
    "model.mismatched": "model.mismatch_weight",
    "model.pseudo": "model.pseudo_label_weight",
    "model.tune": "model.trainable",
    "data.random_steps": "data.learning_starts",
    "data.block": "data.train_freq",
    "data.envs": "data.num_envs",
    "data.steps": "data.num_steps",
    "data.capacity": "data.buffer_size",
    "data.alpha": "data.priority_alpha",
    "data.beta": "data.priority_beta",
    "data.stepping": "data.vectorization",
    "data.bins": "data.num_action_bins",
    "data.restart": "data.reset_each_rollout",
    "model.max_norm": "model.max_grad_norm",
    "model.entropy": "model.entropy_coef",
    "model.value": "model.value_coef",
    "model.log_std": "model.log_std_init",
    "model.temperature": "model.alpha_init",
    "model.exploration": "model.exploration_fraction",
    "model.target_every": "model.target_update_interval",
    "model.critics": "model.num_critics",
    "model.value_updates": "model.critic_updates",
    "model.epochs": "model.update_epochs",
    "model.max_kl": "model.target_kl",
    "model.damping": "model.cg_damping",
    "model.conjugate_steps": "model.cg_max_steps",
    "model.search_steps": "model.line_search_max_iter",
    "model.shrink": "model.line_search_shrinking_factor",
    "model.scale_rewards": "model.normalize_rewards",
    "model.clip": "model.clip_range",
    "model.delay": "model.policy_delay",
    "model.target_sigma": "model.target_policy_noise",
    "model.target_clip": "model.target_noise_clip",
    "model.atoms": "model.num_atoms",
    "model.quantiles": "model.num_quantiles",
    "model.drop": "model.top_quantiles_to_drop",
}


def renamed(key: str, known: Container[str]) -> str | None:
    """The name that the last part of a dotted key has now, if a section that knows these keys has it.

    The old word may belong to somebody's own task, so a name that the constructor does not know is no answer.
    """
    section, _, old = key.rpartition(".")
    new_section, _, new = RENAMED.get(key, "").rpartition(".")
    return new if new and new != old and new_section == section and new in known else None
