"""Huffman's tree over a vocabulary: frequent words have short paths."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import torch

from lab.data import Ragged


def huffman_paths(counts: Sequence[float]) -> tuple[Ragged, Ragged]:
    """The inner nodes from the root to each word, and at each of them the branch that is taken, 0 or 1.

    >>> nodes, branches = huffman_paths([5, 1, 1])
    >>> nodes.lengths.tolist(), nodes[1].tolist(), branches[1].tolist()
    ([1, 2, 2], [0, 1], [0, 0])

    Args:
        counts: of each word, at least two of them; the tree has one inner node fewer, of which the root is node 0.
    """
    words = len(counts)
    heap = [(count, word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    parent, branch = [0] * (2 * words - 1), [0] * (2 * words - 1)
    for node in range(words, 2 * words - 1):
        (low, left), (high, right) = heapq.heappop(heap), heapq.heappop(heap)
        parent[left] = parent[right] = node
        branch[right] = 1
        heapq.heappush(heap, (low + high, node))
    root = 2 * words - 2
    nodes, branches = [], []
    for word in range(words):
        path, turns, at = [], [], word
        while at != root:
            turns.append(branch[at])
            at = parent[at]
            path.append(root - at)  # the root is node 0
        nodes.append(torch.tensor(path[::-1]))
        branches.append(torch.tensor(turns[::-1]))
    return Ragged.from_rows(nodes), Ragged.from_rows(branches)
