"""Generated texts with their summary: what the person in the heading did, without what describes it."""

from __future__ import annotations

from random import Random

from lab.text.data.generated.reports import CITIES, COUNTRIES, DAYS, ENDINGS, FIRST, ONSETS, RHYMES

VERBS = ["bought", "sold", "painted", "lost", "found", "repaired", "hid", "borrowed"]
THINGS = ["ship", "bridge", "violin", "lamp", "castle", "map", "horse", "clock", "garden", "letter"]
ADJECTIVES = ["old", "green", "famous", "broken", "strange", "silver"]
SENTENCES = 4


def digest(random: Random) -> tuple[str, str]:
    """A text of a heading and some sentences on different persons, and its summary.

    >>> text, summary = digest(Random(0))
    >>> text.split(" . ")[0], summary
    ('news of boris grenley : emma sinson found the green garden', 'boris grenley borrowed the clock .')
    """
    people = [_name(random) for _ in range(SENTENCES)]
    told = [_sentence(random, person) for person in people]
    chosen = random.randrange(SENTENCES)
    text = " ".join([f"news of {people[chosen]} :", *(sentence for sentence, _ in told)])
    return text, told[chosen][1]


def _name(random: Random) -> str:
    surname = random.choice(ONSETS) + random.choice(RHYMES) + random.choice(ENDINGS)
    return f"{random.choice(FIRST)} {surname}"


def _sentence(random: Random, person: str) -> tuple[str, str]:
    verb, thing, choose = random.choice(VERBS), random.choice(THINGS), random.choice
    where = f" in {choose((*CITIES, *COUNTRIES))}" if random.random() < 0.6 else ""
    when = f"on {choose(DAYS)} " if random.random() < 0.5 else ""
    return f"{when}{person} {verb} the {choose(ADJECTIVES)} {thing}{where} .", f"{person} {verb} the {thing} ."
