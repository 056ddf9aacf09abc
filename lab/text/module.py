"""The base of all tasks on texts: a network with a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lab.errors import BadSetting
from lab.learning import SupervisedModule
from lab.text.tokenizer import FILE, Tokenizer

STATE = "tokenizer._extra_state"  # the vocabulary in a state dict


class TextModule(SupervisedModule):
    """A supervised task whose network reads what its `tokenizer` makes of texts; both travel in the checkpoint."""

    tokenizer: Tokenizer

    def assets(self) -> dict[str, bytes]:
        """The tokenizer, as a file beside the logged model."""
        return {FILE: self.tokenizer.to_json()}

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Embeddings of another run mean something with the tokenizer of that run alone."""
        if STATE in weights:
            Tokenizer(self.tokenizer.kind, self.tokenizer.vocab_size).set_extra_state(weights[STATE])
            return
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Embedding) and f"{name}.weight" in weights:
                raise BadSetting("parts", f"{name} belongs to its tokenizer; add the part tokenizer")
