"""The other half of a comparison with torchrl: the same transitions, and the same weights in the form of its losses."""

import torch
from tensordict import TensorDict


def transitions(low, high, noises=0, size=32):
    """Observations (B, 3), actions (B, A), rewards (B, 1), next ones (B, 3), terminated (B, 1), noises (B, A)."""
    generator = torch.Generator().manual_seed(1)
    low, high = torch.tensor(low), torch.tensor(high)
    return (
        torch.randn(size, 3, generator=generator),
        low + (high - low) * torch.rand(size, len(low), generator=generator),
        torch.randn(size, 1, generator=generator),
        torch.randn(size, 3, generator=generator),
        torch.rand(size, 1, generator=generator) < 0.3,
        *(torch.randn(size, len(low), generator=generator) for _ in range(noises)),
    )


def as_tensordict(observation, action, reward, next_observation, terminated):
    following = {"observation": next_observation, "reward": reward, "terminated": terminated, "done": terminated}
    return TensorDict({"observation": observation, "action": action, "next": following}, [len(reward)])


def load(loss, **networks):
    """Puts the weights of our networks into torchrl's loss, which has them under these names."""
    for name, network in networks.items():
        for key, value in network.named_parameters():
            getattr(loss, name)["module", *key.split(".")].data.copy_(value.data)


class One(torch.nn.Module):
    """A single critic as torchrl wants it; its weights are one slice of the agent's."""

    def __init__(self, critics):
        super().__init__()
        self.weights = torch.nn.ParameterList(weight[0].detach().clone() for weight in critics.weights)
        self.biases = torch.nn.ParameterList(bias[0].detach().clone() for bias in critics.biases)

    def forward(self, observation, action):
        value = torch.cat([observation, action], -1)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = (value.relu() if number else value) @ weight + bias
        return value
