"""The base of all tasks on texts: a network with a tokenizer of its own."""

from __future__ import annotations

from lab.learning import SupervisedModule
from lab.text.tokenizer import FILE, Tokenizer


class TextModule(SupervisedModule):
    """A supervised task whose network reads what its `tokenizer` makes of texts; both travel in the checkpoint."""

    tokenizer: Tokenizer

    def assets(self) -> dict[str, bytes]:
        """The tokenizer, as a file beside the logged model."""
        return {FILE: self.tokenizer.to_json()}
