"""Generated reviews of two classes whose sentiment depends on the order of words."""

from __future__ import annotations

from random import Random

POSITIVE = 1  # of the classes
CLASSES = ("negative", "positive")
GOOD = [
    "good",
    "great",
    "lovely",
    "excellent",
    "pleasant",
    "wonderful",
    "superb",
    "charming",
    "delightful",
    "fine",
    "tasty",
    "fresh",
]
BAD = ["bad", "awful", "terrible", "poor", "dreadful", "horrible", "nasty", "dull", "dirty", "stale", "noisy", "boring"]
ASPECTS = [
    "soup",
    "bread",
    "coffee",
    "dessert",
    "staff",
    "waiter",
    "room",
    "bed",
    "view",
    "garden",
    "lobby",
    "music",
    "film",
    "story",
    "ending",
    "plot",
    "cast",
    "service",
    "menu",
    "price",
    "wine",
    "breakfast",
    "bathroom",
    "location",
]
STRENGTH = ["", "", "really", "very", "quite"]
NEGATION = ["was not", "was never", "was hardly", "was not at all"]


def review(random: Random) -> tuple[str, int]:
    """A text, and its class.

    A clause says that something is good or bad, half of the time by the negation of the opposite. Half of the reviews
    have two clauses that contradict each other, and the main clause decides: what comes behind `but`, and what does not
    stand behind `although`. So the same words have either class, and their order says which.

    >>> review(Random(38))
    ('although the menu was never really fine , the coffee was not really boring .', 1)
    """
    sentiment = random.randrange(2)
    main = _clause(random, sentiment)
    if random.random() < 0.5:
        return f"{main} .", sentiment
    contrary = _clause(random, 1 - sentiment)
    forms = (f"{contrary} , but {main} .", f"although {contrary} , {main} .", f"{main} , although {contrary} .")
    return random.choice(forms), sentiment


def _clause(random: Random, sentiment: int) -> str:
    negated = random.random() < 0.5
    judgement = random.choice(GOOD if (sentiment == POSITIVE) != negated else BAD)
    verb = random.choice(NEGATION) if negated else "was"
    words = ["the", random.choice(ASPECTS), verb, random.choice(STRENGTH), judgement]
    return " ".join(word for word in words if word)
