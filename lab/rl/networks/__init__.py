"""Networks of agents: actors, critics, policies, exploration."""
