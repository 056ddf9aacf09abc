"""The networks of skip-gram and CBOW: how probable a word is among others, by samples, a tree or all other words.

Sources: Mikolov et al., Efficient estimation of word representations in vector space, 2013, for skip-gram and CBOW;
Mikolov et al., Distributed representations of words and phrases and their compositionality, NeurIPS 2013, for negative
sampling and the hierarchical softmax. Negative samples that several pairs share turn dot products into products of
matrices: Ji et al., Parallelizing word2vec in shared and distributed memory, 2016.
"""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import upcast
from lab.text.tokenizer import PAD
from lab.text.vectors.huffman import huffman_paths

# torch's remark, in each run, that it does not check its own sparse gradients
warnings.filterwarnings("ignore", "Sparse invariant checks")

Output = Literal["negative_sampling", "hierarchical_softmax", "softmax"]
NOISE_POWER = 0.75  # of a word's frequency, for how often it is a negative sample
SHARED_NEGATIVES = 16  # drawn for each row of text; a pair's loss is their mean times `negative`


class WordEmbeddings(nn.Module):
    """A vector for each word, and one for each of what it is compared with: words, or inner nodes of a tree.

    >>> WordEmbeddings(vocab_size=50, vector_size=8)(torch.tensor([[4, 5]])).shape
    torch.Size([1, 2, 8])

    Args:
        vocab_size: how many words there are.
        vector_size: of a word.
        sparse: a step changes the vectors of its own words alone.
        context_zeros: whether the other vectors begin at 0, as those of word2vec, or at random, as those of GloVe.
    """

    counts: Tensor

    def __init__(self, vocab_size: int, vector_size: int, sparse: bool = False, context_zeros: bool = True) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocab_size, vector_size, sparse=sparse)
        self.context_vectors = nn.Embedding(vocab_size, vector_size, sparse=sparse)
        self.register_buffer("counts", torch.zeros(vocab_size))  # of the words in the training text
        for table in (self.vectors, self.context_vectors):
            nn.init.uniform_(table.weight, -0.5 / vector_size, 0.5 / vector_size)
        if context_zeros:
            nn.init.zeros_(self.context_vectors.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.vectors(tokens)
        return found

    def word_vectors(self) -> Tensor:
        """(V, D), of every word."""
        return self.vectors.weight.detach()


class WindowEmbeddings(WordEmbeddings):
    """Rows of text with a margin on both sides (B, window + T + window) -> the mean loss of a row's pairs, (B,).

    Skip-gram predicts a word from each word of its window, CBOW from the mean of them.

    Args:
        vocab_size: how many words there are.
        vector_size: of a word.
        window: words on each side; in training a random number from 1 to that.
        cbow: continuous bag of words in place of skip-gram.
        output: negative_sampling, hierarchical_softmax, or softmax over the whole vocabulary.
        negative: samples that each pair is compared with.
        sparse: a step changes the vectors of its own words alone.
    """

    def __init__(
        self,
        vocab_size: int,
        vector_size: int,
        window: int,
        cbow: bool,
        output: Output,
        negative: int,
        sparse: bool = False,
    ) -> None:
        super().__init__(vocab_size, vector_size, sparse)
        self.window, self.cbow, self.output, self.negative = window, cbow, output, negative
        # nodes (V, L), branches (V, L), and where there are some
        self._paths: tuple[Tensor, Tensor, Tensor] | None = None

    def loss(self, tokens: Tensor) -> Tensor:
        """The mean over the pairs of each row, (B,); 0 for one without any."""
        near = self._near(tokens)  # (B, T, T + 2 window)
        inputs = self.vectors(tokens)
        targets = tokens[:, self.window : tokens.shape[1] - self.window]
        weights = near.to(inputs.dtype)
        if self.cbow:
            inputs = weights @ inputs / weights.sum(2, keepdim=True).clamp(min=1)  # (B, T, D)
            weights = near.any(2, keepdim=True).to(inputs.dtype)  # one pair for each word
        score = {
            "negative_sampling": self._sampled_losses,
            "hierarchical_softmax": self._tree_losses,
            "softmax": self._softmax_losses,
        }[self.output]
        return score(inputs, targets, weights) / weights.sum((1, 2)).clamp(min=1)

    def _near(self, tokens: Tensor) -> Tensor:
        """The words (columns) in the window of each word (rows): none is in its own, and padding is in none."""
        w, length = self.window, tokens.shape[1] - 2 * self.window
        rows = torch.arange(w, w + length, device=tokens.device)
        distance = (torch.arange(tokens.shape[1], device=tokens.device) - rows.unsqueeze(1)).abs()
        shape = (len(tokens), length, 1)
        sizes = torch.randint(1, w + 1, shape, device=tokens.device) if self.training else torch.tensor(w)
        real = tokens != PAD
        return (distance > 0) & (distance <= sizes) & real.unsqueeze(1) & real[:, w : w + length].unsqueeze(2)

    def _sampled_losses(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The sum over pairs of -log p(pair) - `negative` times the mean of log p(no pair) of sampled words, (B,)."""
        outputs = self.context_vectors(targets)  # (B, T, D)
        right = (outputs * inputs).sum(2, keepdim=True) if self.cbow else outputs @ inputs.mT  # (B, T, 1 or T + 2w)
        positive = (F.softplus(-upcast(right)) * weights).sum((1, 2))
        noise = self.context_vectors(self._noise(len(targets)))  # (B, K, D)
        wrong = F.softplus(upcast(inputs @ noise.mT)).mean(2)  # (B, T + 2w or T)
        pairs = weights.squeeze(2) if self.cbow else weights.sum(1)
        return positive + self.negative * (wrong * pairs).sum(1)

    def _noise(self, rows: int) -> Tensor:
        edges = self.counts.double().pow(NOISE_POWER).cumsum(0)
        generator = None if self.training else torch.Generator(edges.device).manual_seed(0)
        drawn = torch.rand(rows, SHARED_NEGATIVES, dtype=edges.dtype, device=edges.device, generator=generator)
        return torch.searchsorted(edges, drawn * edges[-1], right=True).clamp(max=len(edges) - 1)

    def _tree_losses(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The sum over pairs of -log p of every branch on the path to the predicted word, (B,)."""
        nodes, branches, real = (each[targets] for each in self._tree(targets.device))  # (B, T, L)
        vectors = self.context_vectors(nodes)  # (B, T, L, D)
        if self.cbow:
            scores = (vectors @ inputs.unsqueeze(3)).squeeze(3)  # (B, T, L)
            return ((F.softplus(upcast(scores)) - branches * upcast(scores)) * real).sum(2).mul(weights[..., 0]).sum(1)
        scores = upcast(torch.einsum("btld,bsd->btls", vectors, inputs))
        losses = F.softplus(scores) - branches.unsqueeze(3) * scores
        total: Tensor = torch.einsum("btls,btl,bts->b", losses, real, weights.to(losses.dtype))
        return total

    def _softmax_losses(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The sum over pairs of -log p of the predicted word among all words of the text, (B,)."""
        scores = upcast(inputs @ self.context_vectors.weight.T).masked_fill(self.counts == 0, -torch.inf)  # (B, S, V)
        log_p = scores.log_softmax(2)
        asked = targets.unsqueeze(2) if self.cbow else targets.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        predicted = log_p.gather(2, asked)
        return -torch.where(weights > 0, predicted if self.cbow else predicted.mT, 0).sum((1, 2))

    def _tree(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        if self._paths is None:
            nodes, branches = huffman_paths(self.counts.tolist())
            found, real = nodes.padded()
            self._paths = found, branches.padded()[0].float(), real.float()
        self._paths = tuple(each.to(device) for each in self._paths)  # type: ignore[assignment]
        return self._paths  # type: ignore[return-value]
