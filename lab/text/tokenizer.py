"""The tokenizer of a network: words, pairs of bytes or characters, by Hugging Face's `tokenizers`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from lab.data import Ragged
from lab.errors import BadInput, BadSetting, unknown_name

if TYPE_CHECKING:
    import tokenizers

TokenizerKind = Literal["word", "bpe", "char"]
KINDS: tuple[TokenizerKind, ...] = ("word", "bpe", "char")
PAD, UNKNOWN, BEGIN, END = range(4)  # token ids that every tokenizer has
SPECIAL = ["[PAD]", "[UNK]", "[BOS]", "[EOS]"]
LEAST_PAIRS = 256 + len(SPECIAL)
PIECE = 1_000_000  # characters
BETWEEN = re.compile(r"(?<=\w) (?=\w)")
WORDS = re.compile(r"\w+|[^\w\s]+")
FILE = "tokenizer.json"  # as `tokenizers.Tokenizer.from_file` reads it


class Tokenizer(nn.Module):
    """Texts -> token ids, and back. It learns its vocabulary from texts, and is part of the network's state dict.

    >>> tokenizer = Tokenizer("word", vocab_size=100)
    >>> tokenizer.train_on(["the soup was good", "the room was not good"])
    >>> ids = tokenizer.encode(["the room was cold"])
    >>> [tokenizer.token(int(each)) for each in ids[0]]
    ['the', 'room', 'was', '[UNK]']
    >>> tokenizer.decode(ids[0])
    'the room was'

    Ids 0 to 3 are padding, an unknown token, the beginning and the end of a text.

    Args:
        kind: `word` (words in lower case, and punctuation), `bpe` (byte-pair encoding, which knows every text) or
            `char`.
        vocab_size: at most so many tokens, the most frequent ones.

    Raises:
        BadSetting: there is no such kind, or its smallest vocabulary is larger.
    """

    def __init__(self, kind: TokenizerKind, vocab_size: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise unknown_name("tokenizer", kind, KINDS, {"words": "word", "byte": "bpe", "character": "char"})
        if kind == "bpe" and vocab_size < LEAST_PAIRS:
            raise BadSetting("vocab_size", f"bpe begins with {LEAST_PAIRS} tokens, one a byte; found {vocab_size}")
        self.kind, self.vocab_size = kind, vocab_size
        self._tokenizer: tokenizers.Tokenizer | None = None

    @property
    def trained(self) -> bool:
        """Whether it has a vocabulary."""
        return self._tokenizer is not None

    @property
    def unknown(self) -> int:
        """The id of an unknown token."""
        return UNKNOWN

    @property
    def lossless(self) -> bool:
        """Whether its tokens say every character of a text, for one whose characters it has seen."""
        return self.kind != "word"

    @property
    def size(self) -> int:
        """The number of tokens in the vocabulary, at most `vocab_size`."""
        return int(self._ready.get_vocab_size())

    def train_on(self, texts: Iterable[str]) -> None:
        """Takes the most frequent tokens of these texts as its vocabulary."""
        self._tokenizer, trainer = _untrained(self.kind, self.vocab_size)
        self._tokenizer.train_from_iterator(texts, trainer)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """The token ids of each text, int64; an empty text has none."""
        encoded = [encoding.ids for encoding in self._ready.encode_batch_fast(list(texts), add_special_tokens=False)]
        lengths = torch.tensor([len(ids) for ids in encoded], dtype=torch.int64)
        values = torch.tensor([token for ids in encoded for token in ids], dtype=torch.int64)
        return Ragged(values, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))

    def encode_running(self, text: str) -> Tensor:
        """The token ids of a text of any length, (V,), in pieces, because each takes many times its size in memory."""
        return torch.cat([self.encode([piece]).values for piece in pieces(text)])

    def least_tokens(self, texts: Sequence[str]) -> Tensor:
        """The tokens that each text has at least, (N,), whatever the vocabulary; exact for words and characters.

        >>> Tokenizer("bpe", vocab_size=300).least_tokens(["the soup was good!", ""])
        tensor([5, 0])
        """
        if self.trained:
            return self.encode(texts).lengths
        splitter: Any = _untrained(self.kind, self.vocab_size)[0].pre_tokenizer
        return torch.tensor([len(splitter.pre_tokenize_str(text)) for text in texts], dtype=torch.int64)

    def most_tokens(self, text: str, limit: int) -> int:
        """The tokens that a text has at most, whatever the vocabulary, counted up to `limit`.

        >>> Tokenizer("word", vocab_size=100).most_tokens("the soup was good!", limit=4)
        4
        """
        if self.kind == "word":
            return sum(1 for _ in islice(WORDS.finditer(text), limit))
        return min(len(text.encode() if self.kind == "bpe" else text), limit)

    def decode(self, ids: Tensor) -> str:
        """The text of token ids (T,), without padding, beginning, end and unknown tokens."""
        text: str = self._ready.decode(ids.tolist(), skip_special_tokens=True)
        return text

    def token(self, token_id: int) -> str:
        """One token as it stands in the vocabulary."""
        return str(self._ready.id_to_token(token_id))

    def to_json(self) -> bytes:
        """The content of a `tokenizer.json`."""
        return self._ready.to_str(pretty=False).encode()

    def get_extra_state(self) -> Tensor:
        content = self.to_json() if self.trained else b""
        return torch.tensor(list(content), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self._tokenizer = self.from_state(state)

    def from_state(self, state: Tensor) -> tokenizers.Tokenizer | None:
        """The tokenizer that an extra state holds, if it holds one.

        Raises:
            BadSetting: it is the state of another kind of tokenizer, or has more tokens.
        """
        import tokenizers

        if not len(state):
            return None
        made = tokenizers.Tokenizer.from_str(bytes(state.tolist()).decode())
        if [made.id_to_token(i) for i in range(len(SPECIAL))] != SPECIAL:
            raise BadSetting("tokenizer", f"its tokenizer is that of a pretrained network; {self.kind} was asked for")
        if (kind := _kind(made)) != self.kind:
            raise BadSetting("tokenizer", f"its tokenizer is a {kind} tokenizer, and {self.kind} was asked for")
        if (size := made.get_vocab_size()) > self.vocab_size:
            raise BadSetting("vocab_size", f"its tokenizer has {size} tokens, and the network {self.vocab_size}")
        return made

    @property
    def _ready(self) -> tokenizers.Tokenizer:
        if self._tokenizer is None:
            raise BadInput("the tokenizer has no vocabulary yet; give it texts by `train_on`")
        return self._tokenizer


def pieces(text: str, size: int = PIECE) -> list[str]:
    """A text in pieces of some `size` characters, between words, where no token of any kind is cut in two.

    >>> pieces("the old dog sees", size=5)
    ['the old', ' dog sees']
    """
    found, start = [], 0
    while between := BETWEEN.search(text, start + size):
        found.append(text[start : between.start()])
        start = between.start()
    return [*found, text[start:]]


def _untrained(kind: TokenizerKind, vocab_size: int) -> tuple[tokenizers.Tokenizer, Any]:
    """A tokenizer, and the trainer that gives it a vocabulary."""
    import tokenizers
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

    settings: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": SPECIAL, "show_progress": False}
    if kind == "bpe":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        return made, trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **settings)
    made = tokenizers.Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    if kind == "word":
        made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    else:
        made.pre_tokenizer, made.decoder = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated"), decoders.Fuse()
    return made, trainers.WordLevelTrainer(**settings)


def _kind(tokenizer: tokenizers.Tokenizer) -> TokenizerKind:
    from tokenizers import models

    if isinstance(tokenizer.model, models.BPE):
        return "bpe"
    return "word" if tokenizer.normalizer is not None else "char"
