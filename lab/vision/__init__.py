"""Images: data, networks, and tasks that learn from them."""
