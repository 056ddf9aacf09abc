"""Networks that several fields build with: layers by name, MLP, recurrent networks, Transformers."""

from lab.networks.activations import ACTIVATIONS, Activation, make_activation
from lab.networks.attention import causal_mask, padding_mask, record_attention
from lab.networks.dropout import Dropout
from lab.networks.hub import pretrained_weights
from lab.networks.initialization import INITS, Init, initialize
from lab.networks.mlp import MLP, as_function
from lab.networks.normalization import NORMS, Norm, make_norm
from lab.networks.positions import LearnedPositions, SinusoidalPositions
from lab.networks.precision import OutputLinear, output_linear, upcast, without_autocast
from lab.networks.recurrent import Cell, Recurrent, RecurrentOutput
from lab.networks.sequence import SEQUENCE_NETWORKS, SequenceNetwork, SequenceNetworkName, SequenceOutput, width_for
from lab.networks.temporal_convolution import TemporalConvolution
from lab.networks.text_encoder import TextEncoder
from lab.networks.transformer import TransformerDecoder, TransformerEncoder

__all__ = [
    "ACTIVATIONS",
    "INITS",
    "MLP",
    "NORMS",
    "SEQUENCE_NETWORKS",
    "Activation",
    "Cell",
    "Dropout",
    "Init",
    "LearnedPositions",
    "Norm",
    "OutputLinear",
    "Recurrent",
    "RecurrentOutput",
    "SequenceNetwork",
    "SequenceNetworkName",
    "SequenceOutput",
    "SinusoidalPositions",
    "TemporalConvolution",
    "TextEncoder",
    "TransformerDecoder",
    "TransformerEncoder",
    "as_function",
    "causal_mask",
    "initialize",
    "make_activation",
    "make_norm",
    "output_linear",
    "padding_mask",
    "pretrained_weights",
    "record_attention",
    "upcast",
    "width_for",
    "without_autocast",
]
