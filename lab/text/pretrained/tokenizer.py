"""The tokenizer that a pretrained network of transformers was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.data import Ragged
from lab.errors import BadSetting
from lab.networks.transformers_model import building, import_transformers, model_folder
from lab.text.tokenizer import SPECIAL, Tokenizer

EXTRA = "transformers"  # of torch-lab
SHIFT = len(SPECIAL)  # of a token id, behind those that every tokenizer has


class PretrainedTokenizer(Tokenizer):
    """Texts -> token ids and back; the ids are those of the model plus 4, behind the special ones of every tokenizer.

    Args:
        name: of a model in the cache of huggingface_hub, such as `bert-base-uncased`, or a folder with what
            transformers saves of one.
        single_words: the texts are words out of sentences, before which byte-level tokenizers expect a space.

    Raises:
        BadSetting: transformers is not installed, the model is missing, or it has no fast tokenizer.
    """

    def __init__(self, name: str, single_words: bool = False) -> None:
        from tokenizers import decoders, pre_tokenizers

        nn.Module.__init__(self)  # it learns no vocabulary
        transformers = import_transformers(name, EXTRA)
        with building(name):
            folder = model_folder(name)
            config: Any = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            found: Any = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            made = found.backend_tokenizer
            made.no_padding()
            made.no_truncation()
            if not len(set(found.all_special_ids)) < made.get_vocab_size() <= config.vocab_size:
                sizes = f"{made.get_vocab_size()} tokens, and the network {config.vocab_size}"
                raise ValueError(f"its tokenizer has {sizes}; is its file missing?")
            if single_words and isinstance(made.pre_tokenizer, pre_tokenizers.ByteLevel):
                made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
            whole = made.encode("a")
        self._tokenizer, self._lossless = made, isinstance(made.decoder, decoders.ByteLevel)
        self._unknown = SHIFT + found.unk_token_id if found.unk_token_id is not None else -1
        self.vocab_size = SHIFT + config.vocab_size
        text = [i for i, added in enumerate(whole.special_tokens_mask) if not added]
        # what stands around each text, such as [CLS] and [SEP], as ids of the model
        self.before, self.after = whole.ids[: min(text, default=0)], whole.ids[max(text, default=-1) + 1 :]
        # the model's ids of padding, an unknown token, the beginning and the end
        ids = found.pad_token_id, found.unk_token_id, found.bos_token_id, found.eos_token_id
        self.special = [each or 0 for each in ids]

    @property
    def unknown(self) -> int:
        return self._unknown

    def most_tokens(self, text: str, limit: int) -> int:
        """Its bytes, of which each token has at least one."""
        return min(len(text.encode()), limit)

    @property
    def lossless(self) -> bool:
        return self._lossless

    @property
    def size(self) -> int:
        return SHIFT + super().size

    def encode(self, texts: Sequence[str]) -> Ragged:
        found = super().encode(texts)
        return Ragged(found.values + SHIFT, found.offsets)

    def decode(self, ids: Tensor) -> str:
        return super().decode(ids[ids >= SHIFT] - SHIFT)

    def token(self, token_id: int) -> str:
        return super().token(token_id - SHIFT) if token_id >= SHIFT else SPECIAL[token_id]

    def set_extra_state(self, state: Tensor) -> None:
        """
        Raises:
            BadSetting: it is the state of another tokenizer.
        """
        if not torch.equal(state, self.get_extra_state()):
            raise BadSetting("tokenizer", "its tokenizer is not that of this pretrained network")
