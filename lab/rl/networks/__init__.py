"""Networks of agents: actors, critics, policies, exploration, normalisation."""

from typing import TYPE_CHECKING

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.rl.networks.actor_critic import Actor, Critic, Critics, GaussianActor
    from lab.rl.networks.epsilon_greedy import EpsilonGreedy
    from lab.rl.networks.exploration import GaussianNoise, OrnsteinUhlenbeckNoise, StochasticExploration
    from lab.rl.networks.nature_cnn import NatureCNN
    from lab.rl.networks.normalization import ObservationNorm, RewardNorm, RunningMeanStd
    from lab.rl.networks.policies import CategoricalPolicy, GaussianPolicy, Policy, make_policy
    from lab.rl.networks.q_network import NoisyLinear, QNetwork

__all__ = [
    "Actor",
    "CategoricalPolicy",
    "Critic",
    "Critics",
    "EpsilonGreedy",
    "GaussianActor",
    "GaussianNoise",
    "GaussianPolicy",
    "NatureCNN",
    "NoisyLinear",
    "ObservationNorm",
    "OrnsteinUhlenbeckNoise",
    "Policy",
    "QNetwork",
    "RewardNorm",
    "RunningMeanStd",
    "StochasticExploration",
    "make_policy",
]

__getattr__ = lazy(
    __name__,
    {
        "Actor": "actor_critic",
        "CategoricalPolicy": "policies",
        "Critic": "actor_critic",
        "Critics": "actor_critic",
        "EpsilonGreedy": "epsilon_greedy",
        "GaussianActor": "actor_critic",
        "GaussianNoise": "exploration",
        "GaussianPolicy": "policies",
        "NatureCNN": "nature_cnn",
        "NoisyLinear": "q_network",
        "ObservationNorm": "normalization",
        "OrnsteinUhlenbeckNoise": "exploration",
        "Policy": "policies",
        "QNetwork": "q_network",
        "RewardNorm": "normalization",
        "RunningMeanStd": "normalization",
        "StochasticExploration": "exploration",
        "make_policy": "policies",
    },
)
