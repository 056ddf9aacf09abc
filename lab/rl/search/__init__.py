"""Search of policy weights without gradients."""
