"""Generated news of six topics: several sentences each, in which words of the topic are mixed with words of any."""

from __future__ import annotations

from random import Random

# topic -> nouns and verbs that it prefers
TOPICS: dict[str, tuple[list[str], list[str]]] = {
    "cooking": (
        ["chef", "kitchen", "recipe", "oven", "sauce", "butter", "onion", "pan", "knife", "flour", "spice", "lemon"],
        ["baked", "fried", "tasted", "mixed", "served", "peeled"],
    ),
    "music": (
        [
            "singer",
            "band",
            "concert",
            "guitar",
            "drummer",
            "album",
            "melody",
            "violin",
            "stage",
            "choir",
            "rhythm",
            "piano",
        ],
        ["played", "sang", "recorded", "rehearsed", "composed", "tuned"],
    ),
    "politics": (
        [
            "minister",
            "party",
            "parliament",
            "election",
            "law",
            "mayor",
            "vote",
            "senate",
            "treaty",
            "tax",
            "campaign",
            "council",
        ],
        ["debated", "elected", "rejected", "signed", "promised", "governed"],
    ),
    "science": (
        [
            "laboratory",
            "experiment",
            "atom",
            "telescope",
            "cell",
            "theory",
            "planet",
            "microscope",
            "enzyme",
            "comet",
            "fossil",
            "neuron",
        ],
        ["measured", "discovered", "observed", "proved", "tested", "modelled"],
    ),
    "sport": (
        [
            "player",
            "coach",
            "match",
            "goal",
            "league",
            "stadium",
            "referee",
            "team",
            "striker",
            "medal",
            "runner",
            "tournament",
        ],
        ["scored", "won", "lost", "trained", "tackled", "raced"],
    ),
    "travel": (
        [
            "train",
            "hotel",
            "airport",
            "passport",
            "harbour",
            "luggage",
            "island",
            "museum",
            "guide",
            "ticket",
            "beach",
            "ferry",
        ],
        ["visited", "booked", "boarded", "explored", "reached", "crossed"],
    ),
}
CLASSES = tuple(TOPICS)
ADJECTIVES = ["old", "new", "young", "famous", "small", "large", "quiet", "local", "foreign", "early"]
PREFERENCE = 0.4  # share of words that are of the text's own topic; the others are of any topic


def news(random: Random) -> tuple[str, int]:
    """A text of two to four sentences, and its topic.

    >>> text, topic = news(Random(0))
    >>> text.split(" . ")[0], CLASSES[topic]
    ('the foreign senate discovered the experiment', 'science')
    """
    topic = random.randrange(len(CLASSES))
    sentences = [_sentence(random, CLASSES[topic]) for _ in range(random.randint(2, 4))]
    return " ".join(sentences), topic


def _sentence(random: Random, topic: str) -> str:
    def word(kind: int) -> str:
        of = topic if random.random() < PREFERENCE else random.choice(CLASSES)
        return random.choice(TOPICS[of][kind])

    def phrase() -> str:
        return f"the {random.choice(ADJECTIVES)} {word(0)}" if random.random() < 0.4 else f"the {word(0)}"

    return f"{phrase()} {word(1)} {phrase()} ."
