"""BERT, GPT-2 and other networks of transformers, which begin with the weights that they were published with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks.transformers_model import building, import_transformers, model_folder, trained_weights
from lab.text.pretrained.tokenizer import EXTRA, SHIFT, PretrainedTokenizer
from lab.text.tokenizer import PAD

UNUSED = ("pooler.",)  # of BERT's outputs; it has weights in some files alone


class PretrainedNetwork(nn.Module):
    """
    Args:
        name: of a model in the cache of huggingface_hub, or a folder with what transformers saves of one.
        tokenizer: of the same model.
        length: tokens that it is given at once, at most.
        auto: the class of transformers that builds the model.

    Raises:
        BadSetting: the model cannot be built, or takes fewer tokens.
    """

    special: Tensor

    def __init__(self, name: str, tokenizer: PretrainedTokenizer, length: int, auto: str) -> None:
        super().__init__()
        self.name, self.auto, self.folder = name, auto, model_folder(name)
        self.register_buffer("special", torch.tensor(tokenizer.special), persistent=False)
        transformers = import_transformers(name, EXTRA)
        with building(name):
            config: Any = transformers.AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
            if config.is_encoder_decoder:
                raise ValueError("it has an encoder and a decoder; name one that has one of them")
            most = getattr(config, "max_position_embeddings", None)
            if most is not None and length > most:
                raise ValueError(f"it takes {most} tokens, and {length} were asked for")
            config.use_cache = False  # of keys and values, for texts that are written token by token
            build = getattr(transformers, auto).from_config
            self.model: Any = build(config, dtype=torch.float32, trust_remote_code=False)
            if getattr(self.model, "pooler", None) is not None:
                self.model.pooler = None
            self.out_features = int(config.hidden_size)

    def load_pretrained(self) -> None:
        """Loads the weights, which lie beside the settings.

        Raises:
            LabError: they do not, or are those of another network.
        """
        auto = getattr(import_transformers(self.name, EXTRA), self.auto)
        self.model.load_state_dict(trained_weights(auto, self.name, self.folder, UNUSED))

    def model_ids(self, tokens: Tensor) -> Tensor:
        """The model's own ids of tokens."""
        return torch.where(tokens < SHIFT, self.special[tokens.clamp(max=SHIFT - 1)], tokens - SHIFT)


class PretrainedEncoder(PretrainedNetwork):
    """Token ids (B, T), padded with 0 -> one vector (B, out_features): the mean of what the model says of each token.

    Args:
        name: of a model in the cache of huggingface_hub, or a folder with what transformers saves of one.
        tokenizer: of the same model.
        max_length: tokens of a text, at most, without those that the model expects around it.
    """

    def __init__(self, name: str, tokenizer: PretrainedTokenizer, max_length: int) -> None:
        super().__init__(name, tokenizer, max_length + len(tokenizer.before) + len(tokenizer.after), "AutoModel")
        self.before, self.after, self.max_length = tokenizer.before, tokenizer.after, max_length

    def forward(self, tokens: Tensor) -> Tensor:
        real = (tokens != PAD).unsqueeze(2)
        mean: Tensor = (self.states(tokens) * real).sum(1) / real.sum(1)
        return mean

    def states(self, tokens: Tensor) -> Tensor:
        """The model's vector of each token, (B, T, out_features), with what it expects around a text."""
        first, last, (rows, length) = len(self.before), len(self.after), tokens.shape
        lengths = (tokens != PAD).sum(1, keepdim=True)  # (B, 1)
        end = first + lengths
        before, after = (tokens.new_tensor(ids).expand(rows, -1) for ids in (self.before, self.after))
        ids = torch.cat([before, self.model_ids(tokens), self.special[:1].expand(rows, last)], 1)
        ids = ids.scatter(1, end + torch.arange(last, device=ids.device), after)
        mask = torch.arange(ids.shape[1], device=ids.device) < end + last
        found: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return found[:, first : first + length]


class PretrainedWordEncoder(PretrainedEncoder):
    """Words as token ids (B, T, pieces), padded with 0 -> the mean over each word's tokens, (B, T, out_features)."""

    def forward(self, tokens: Tensor) -> Tensor:
        (rows, words, pieces), flat = tokens.shape, tokens.flatten(1)
        order = (flat == PAD).long().argsort(dim=1, stable=True)[:, : self.max_length]  # all real ones come first
        text = flat.gather(1, order)
        states = self.states(text) * (text != PAD).unsqueeze(2)
        sums = states.new_zeros(rows, words, self.out_features)
        sums = sums.scatter_add(1, (order // pieces).unsqueeze(2).expand_as(states), states)
        return sums / (tokens != PAD).sum(2, keepdim=True).clamp(min=1)


class PretrainedGPT(PretrainedNetwork):
    """Token ids (B, T) -> logits (B, T, vocab_size), of which each sees the tokens up to its own.

    Args:
        name: of a model in the cache of huggingface_hub, or a folder with what transformers saves of one.
        tokenizer: of the same model.
        context: tokens that it sees at once.

    Raises:
        BadSetting: a token sees those that come after it.
    """

    def __init__(self, name: str, tokenizer: PretrainedTokenizer, context: int) -> None:
        super().__init__(name, tokenizer, context, "AutoModelForCausalLM")
        tokens = torch.tensor([[SHIFT, SHIFT], [SHIFT, SHIFT + 1]])
        with building(name), torch.inference_mode():
            first = self.eval()(tokens)[:, 0, SHIFT:]
            if not torch.allclose(first[0], first[1], atol=1e-5):
                raise ValueError("its tokens see those after them; name a model that writes text, such as gpt2")
        self.train()

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=self.model_ids(tokens)).logits
        return F.pad(logits, (SHIFT, 0), value=-torch.inf)
