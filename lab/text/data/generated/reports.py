"""Generated reports whose words have a part of speech and belong to names of persons, organisations, places or dates.

Many words have a tag only in their company: `paris` is a place or a surname, `watch` a noun or a verb, `may` a month, a
surname or an auxiliary; and there are more surnames than a training has seen.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

FIRST = ["anna", "boris", "clara", "david", "emma", "felix", "grace", "henry", "irene", "jonas", "karen", "louis"]
ONSETS = ["b", "br", "d", "f", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w"]
RHYMES = ["al", "an", "ar", "el", "en", "er", "in", "ol", "on", "or", "um", "et"]
ENDINGS = ["son", "berg", "ley", "man", "ski", "ton", "well", "ford"]
AMBIGUOUS = ["paris", "jordan", "london", "washington", "may", "april", "ford", "cook", "baker", "watch"]  # as surnames
CITIES = ["paris", "london", "washington", "vienna", "cairo", "tokyo", "york", "athens", "lima", "oslo"]
COUNTRIES = ["jordan", "france", "egypt", "japan", "peru", "norway", "greece", "chad"]
BRANDS = ["ford", "apple", "shell", "orange", "nestor", "quantum", "delta", "vector"]
FORMS = ["bank", "group", "motors", "institute", "press", "airlines"]
MONTHS = ["january", "march", "april", "may", "june", "august", "october"]
DAYS = ["monday", "tuesday", "friday", "sunday"]
TITLES = ["mr", "mrs", "dr"]
VERBS = ["visited", "praised", "joined", "left", "criticised", "bought", "watch", "plan", "visit", "report", "cook"]
NOUNS = ["watch", "plan", "visit", "report", "cook", "baker", "orange", "apple", "shell", "minister", "match", "street"]
ADJECTIVES = ["new", "old", "orange", "secret", "annual", "large"]
ADVERBS = ["often", "quietly", "yesterday", "soon"]


class Word(NamedTuple):
    """One word of a report, its part of speech, and its place in a name: B- begins it, I- goes on, O is outside."""

    word: str
    pos: str
    entity: str


def report(random: Random) -> list[Word]:
    """The words of one sentence.

    >>> " ".join(each.word for each in report(Random(1)))
    'karen denberg will visited a new cook on april 1 .'
    """
    choose = random.choice
    subject = choose((_person, _person, _organisation))(random)
    words = [*subject, *([Word(choose(ADVERBS), "ADV", "O")] if random.random() < 0.2 else [])]
    if random.random() < 0.3:
        words.append(Word(choose(("may", "will", "must")), "AUX", "O"))
    words.append(Word(choose(VERBS), "VERB", "O"))
    words += choose((_person, _organisation, _thing, _thing))(random)
    for preposition, more in (("in", _place), ("on", _date)):
        if random.random() < 0.5:
            words += [Word(preposition, "ADP", "O"), *more(random)]
    return [*words, Word(".", "PUNCT", "O")]


def _name(words: list[str], kind: str) -> list[Word]:
    return [Word(word, "PROPN", f"{'I' if i else 'B'}-{kind}") for i, word in enumerate(words)]


def _person(random: Random) -> list[Word]:
    choose = random.choice
    made = choose(ONSETS) + choose(RHYMES) + choose(ENDINGS)
    surname = choose(AMBIGUOUS) if random.random() < 0.4 else made
    if random.random() < 0.3:
        return [Word(choose(TITLES), "NOUN", "O"), *_name([surname], "PER")]
    return _name([choose(FIRST), surname], "PER")


def _organisation(random: Random) -> list[Word]:
    of_city = random.random() < 0.3
    words = [random.choice(CITIES if of_city else BRANDS)]
    return _name([*words, random.choice(FORMS)] if of_city or random.random() < 0.5 else words, "ORG")


def _place(random: Random) -> list[Word]:
    if random.random() < 0.3:
        return _name(["new", "york"], "LOC")
    return _name([random.choice((*CITIES, *COUNTRIES))], "LOC")


def _date(random: Random) -> list[Word]:
    if random.random() < 0.5:
        return [Word(random.choice(DAYS), "NOUN", "B-DATE")]
    return [Word(random.choice(MONTHS), "NOUN", "B-DATE"), Word(str(random.randint(1, 28)), "NUM", "I-DATE")]


def _thing(random: Random) -> list[Word]:
    adjective = [Word(random.choice(ADJECTIVES), "ADJ", "O")] if random.random() < 0.5 else []
    return [Word(random.choice(("the", "a")), "DET", "O"), *adjective, Word(random.choice(NOUNS), "NOUN", "O")]
