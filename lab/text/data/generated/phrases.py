"""Generated English phrases with their translation into an invented language, whose rules are known.

In that language the verb comes last, an adjective stands behind its noun and agrees with it in gender and number, an
object takes an ending of its own, the tense is an ending of the verb, and the time stands at the end.
"""

from __future__ import annotations

from random import Random

# English singular and plural -> stem and gender
NOUNS: dict[tuple[str, str], tuple[str, str]] = {
    ("dog", "dogs"): ("kan", "m"),
    ("cat", "cats"): ("mur", "f"),
    ("house", "houses"): ("dom", "f"),
    ("teacher", "teachers"): ("mestr", "m"),
    ("woman", "women"): ("fem", "f"),
    ("child", "children"): ("pik", "m"),
    ("river", "rivers"): ("vad", "m"),
    ("tree", "trees"): ("arb", "f"),
    ("bird", "birds"): ("zel", "f"),
    ("ship", "ships"): ("nav", "f"),
    ("king", "kings"): ("rog", "m"),
    ("book", "books"): ("lib", "m"),
    ("flower", "flowers"): ("flur", "f"),
    ("horse", "horses"): ("ekv", "m"),
    ("friend", "friends"): ("lub", "m"),
    ("garden", "gardens"): ("hort", "f"),
}
ADJECTIVES = {"old": "vet", "small": "min", "red": "rub", "happy": "gai", "quiet": "tas", "young": "jov", "big": "gran"}
VERBS = {"see": "vid", "love": "amor", "find": "trov", "follow": "sek", "paint": "pin", "hear": "aud", "greet": "sal"}
TIMES = {"today": ("present", "hodi"), "yesterday": ("past", "ier"), "tomorrow": ("future", "kras")}
TENSES = {"present": "at", "past": "it", "future": "ot"}
ARTICLES = {
    "the": {"m": "lo", "f": "la", "p": "li"},
    "a": {"m": "un", "f": "una"},
    "this": {"m": "ko", "f": "ka", "p": "ki"},
}
ENDINGS = {"m": "o", "f": "a", "p": "i"}
PREPOSITIONS = {"near": "apud", "behind": "post", "without": "sin"}
PAST = {"see": "saw", "love": "loved", "find": "found", "follow": "followed", "paint": "painted", "hear": "heard"}
PAST["greet"] = "greeted"


def phrase(random: Random) -> tuple[str, str]:
    """An English sentence and its translation.

    >>> phrase(Random(0))[1]
    'li ekvi una fluran mina apud ka zela ne pinit ier .'
    """
    time = random.choice(list(TIMES))
    tense, late = TIMES[time]
    subject, its_translation, plural = _noun_phrase(random, "")
    thing, translated, _ = _noun_phrase(random, "n")
    verb = random.choice(list(VERBS))
    negated = random.random() < 0.25
    english = [time, *subject, *_verb(verb, tense, plural, negated), *thing]
    other = [*its_translation, *translated]
    if random.random() < 0.4:
        preposition = random.choice(list(PREPOSITIONS))
        place, its_name, _ = _noun_phrase(random, "")
        english += [preposition, *place]
        other += [PREPOSITIONS[preposition], *its_name]
    other += [*(["ne"] if negated else []), VERBS[verb] + TENSES[tense], late]
    return " ".join([*english, "."]), " ".join([*other, "."])


def _noun_phrase(random: Random, case: str) -> tuple[list[str], list[str], bool]:
    """English words, the words of the translation, and whether they are plural."""
    names, (stem, gender) = random.choice(list(NOUNS.items()))
    article = random.choice(list(ARTICLES))
    plural = random.random() < 0.4 and article != "a"
    form = "p" if plural else gender
    english_article = "these" if plural and article == "this" else article
    adjective = random.choice(list(ADJECTIVES)) if random.random() < 0.5 else ""
    if article == "a" and (adjective or names[0])[0] in "aeiou":
        english_article = "an"
    english = [english_article, *([adjective] if adjective else []), names[plural]]
    translated = [ARTICLES[article][form], stem + ENDINGS[form] + case]
    return english, [*translated, *([ADJECTIVES[adjective] + ENDINGS[form]] if adjective else [])], plural


def _verb(verb: str, tense: str, plural: bool, negated: bool) -> list[str]:
    if tense == "future":
        return ["will", "not", verb] if negated else ["will", verb]
    if negated:
        return ["did" if tense == "past" else "do" if plural else "does", "not", verb]
    return [PAST[verb] if tense == "past" else verb if plural else f"{verb}s"]
