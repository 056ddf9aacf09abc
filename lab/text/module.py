"""The base of all tasks on texts: a network with a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lab.errors import BadSetting
from lab.learning import SupervisedModule
from lab.networks.transformers_model import TRANSFORMERS
from lab.text.pretrained.tokenizer import PretrainedTokenizer
from lab.text.tokenizer import FILE, Tokenizer

STATE = "tokenizer._extra_state"  # the vocabulary in a state dict


class TextModule(SupervisedModule):
    """A supervised task whose network reads what its `tokenizer` makes of texts; both travel in the checkpoint."""

    tokenizer: Tokenizer

    def use_pretrained(self, network: str, single_words: bool = False) -> tuple[str, PretrainedTokenizer] | None:
        """The name and the tokenizer of a network of transformers, which is the module's from now on; otherwise None.

        Args:
            network: as a recipe names it.
            single_words: whether the texts are words out of sentences.

        Raises:
            BadSetting: the tokenizer cannot be used here.
        """
        if not network.startswith(TRANSFORMERS):
            return None
        name = network.removeprefix(TRANSFORMERS)
        self.tokenizer = made = PretrainedTokenizer(name, single_words)
        self.pretrained_wanted = True
        return name, made

    def assets(self) -> dict[str, bytes]:
        """The tokenizer, as a file beside the logged model."""
        return {FILE: self.tokenizer.to_json()}

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Embeddings of another run mean something with the tokenizer of that run alone."""
        if STATE in weights:
            self.tokenizer.from_state(weights[STATE])
            return
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Embedding) and f"{name}.weight" in weights:
                raise BadSetting("parts", f"{name} belongs to its tokenizer; add the part tokenizer")
