"""Generated stories in which the company that a word keeps follows from its meaning."""

from __future__ import annotations

from random import Random

from lab.text.data.generated.lexicon import ACTIONS, GENDERS, KINDS, PEOPLE, PLACES, SYNONYMS, TENSES, rare_words

JOINING = ["and", "while", "because"]
NEAR = ["near", "behind", "beside"]
RARE = rare_words()
KEPT = 0.02  # of the stories on rare words


def story(random: Random) -> str:
    """Two sentences on the same persons, places or things.

    >>> story(Random(0))
    'now the sailor catches the salmon . the salmon that the sailor catches now was sold .'
    """
    write = random.choice((_person, _person, _place, _action, _synonym))
    return write(random)


def uneven_story(random: Random) -> str:
    """A story; one on a rare word is written a fiftieth as often as `story` does.

    >>> stories = [uneven_story(Random(seed)) for seed in range(200)]
    >>> sum("king" in each.split() for each in stories) > sum("father" in each.split() for each in stories)
    True
    """
    while True:
        written = story(random)
        if RARE.isdisjoint(written.split()) or random.random() < KEPT:
            return written


def _person(random: Random) -> str:
    pair, gender = random.choice(list(PEOPLE)), random.choice(list(GENDERS))
    person = pair[list(GENDERS).index(gender)]
    (verbs, objects, where), (possessive, pronoun, worn) = PEOPLE[pair], GENDERS[gender]
    choose = random.choice
    return (
        f"the {person} {choose(verbs)} {possessive} {choose(objects)} in the {choose(where)} . "
        f"with {possessive} {choose(worn)} {pronoun} left the {person} {choose(NEAR)} the {choose(where)} ."
    )


def _place(random: Random) -> str:
    pair, kind = random.choice(list(PLACES)), random.choice(list(KINDS))
    place, words, choose = pair[list(KINDS).index(kind)], PLACES[pair], random.choice
    return (
        f"the {choose(KINDS[kind])} of {place} is {choose(NEAR)} the {choose(words)} . "
        f"in {place} the {choose(KINDS[kind])} likes the {choose(words)} ."
    )


def _action(random: Random) -> str:
    pair, tense = random.choice(list(ACTIONS)), random.choice(list(TENSES))
    verb, (who, what), choose = pair[list(TENSES).index(tense)], ACTIONS[pair], random.choice
    return (
        f"{choose(TENSES[tense])} the {choose(who)} {verb} the {choose(what)} . "
        f"the {choose(what)} that the {choose(who)} {verb} {choose(TENSES[tense])} was sold ."
    )


def _synonym(random: Random) -> str:
    words = random.choice(list(SYNONYMS))
    things, choose = SYNONYMS[words], random.choice
    return (
        f"the {choose(things)} was {choose(words)} {choose(JOINING)} the {choose(things)} seemed {choose(words)} . "
        f"a {choose(words)} {choose(things)} is rare ."
    )
