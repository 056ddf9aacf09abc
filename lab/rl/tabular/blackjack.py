"""The transition table of Gymnasium's Blackjack-v1, which has none of its own: cards from an endless deck.

A state is (player's sum, dealer's card, usable ace), numbered as in the shape (32, 11, 2) of its observations. A
natural (21 with two cards) may pay more than another 21, and is observed as the same; it takes the number of a sum that
cannot occur.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Outcome = tuple[float, int, float, bool]

SHAPE = (32, 11, 2)
CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
BUST = 22
NATURAL = 0  # in place of the sum


def transitions(sab: bool, natural: bool) -> tuple[list[list[list[Outcome]]], list[float], NDArray[np.int64]]:
    """The outcomes of sticking and hitting in each of the 704 states, the start probabilities, and what is observed.

    Args:
        sab: a natural wins against any other 21, as in Sutton and Barto.
        natural: a natural that wins pays 1.5; not used if `sab`.
    """
    table: list[list[list[Outcome]]] = []
    start, observed = np.zeros(SHAPE), np.arange(np.prod(SHAPE)).reshape(SHAPE)
    observed[NATURAL, :, 1] = observed[BUST - 1, :, 1]
    for first, p in CARDS.items():
        for second, q in CARDS.items():
            total, ace = add(add((0, False), first), second)
            start[NATURAL if total == BUST - 1 else total, 1:, int(ace)] += p * q * np.array(list(CARDS.values()))
    for total, card, ace in np.ndindex(SHAPE):
        if total == NATURAL and card and ace:
            table.append([stick_natural(card, sab, natural), hit(BUST - 1, card, True)])
        elif not 4 <= total < BUST or not card or (ace and total < 12):  # cannot occur
            table.append([[(1.0, 0, 0.0, True)]] * 2)
        else:
            table.append([stick(total, card), hit(total, card, bool(ace))])
    return table, start.flatten().tolist(), observed.flatten()


def stick(total: int, card: int) -> list[Outcome]:
    """Whoever is nearer to 21 wins."""
    outcomes = {1.0: 0.0, 0.0: 0.0, -1.0: 0.0}
    for dealer, probability in dealer_totals(add((0, False), card)).items():
        outcomes[float(np.sign(total - (dealer if dealer < BUST else 0)))] += probability
    return [(probability, 0, reward, True) for reward, probability in outcomes.items()]


def stick_natural(card: int, sab: bool, natural: bool) -> list[Outcome]:
    if sab:
        drawn = CARDS.get({1: 10, 10: 1}.get(card, 0), 0.0)  # the dealer has a natural too
        return [(1 - drawn, 0, 1.0, True), (drawn, 0, 0.0, True)]
    pay = 1.5 if natural else 1.0
    return [(p, following, pay if reward > 0 else reward, over) for p, following, reward, over in stick(BUST - 1, card)]


def hit(total: int, card: int, ace: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for drawn, probability in CARDS.items():
        after, usable = add((total, ace), drawn)
        lost = after >= BUST
        state = 0 if lost else int(np.ravel_multi_index((after, card, int(usable)), SHAPE))
        outcomes.append((probability, state, -1.0 if lost else 0.0, lost))
    return outcomes


def add(hand: tuple[int, bool], card: int) -> tuple[int, bool]:
    """A hand is its sum and whether an ace in it counts 11; that is so wherever it does not go bust.

    >>> add((10, False), 1), add((21, True), 5)
    ((21, True), (16, False))
    """
    total, ace = hand[0] + card, hand[1]
    if card == 1 and not ace and total + 10 < BUST:
        return total + 10, True
    return (total - 10, False) if total >= BUST and ace else (total, ace)


@cache
def dealer_totals(hand: tuple[int, bool]) -> dict[int, float]:
    """The probability of each final sum of a dealer who draws below 17; sums from 22 are bust."""
    if hand[0] >= 17:
        return {hand[0]: 1.0}
    totals: dict[int, float] = {}
    for card, probability in CARDS.items():
        for total, share in dealer_totals(add(hand, card)).items():
            totals[total] = totals.get(total, 0.0) + probability * share
    return totals
