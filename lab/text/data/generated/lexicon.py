"""The words of the generated stories, and what is true of them: word classes, features, synonyms and analogies."""

from __future__ import annotations

from itertools import permutations

# (male, female): what they do, what they do it to, and where
PEOPLE: dict[tuple[str, str], tuple[list[str], list[str], list[str]]] = {
    ("king", "queen"): (["ruled", "crowned", "reigned"], ["throne", "kingdom", "sceptre"], ["palace", "court"]),
    ("father", "mother"): (["raised", "fed", "hugged"], ["children", "family", "baby"], ["home", "nursery"]),
    ("actor", "actress"): (["performed", "recited", "acted"], ["play", "role", "drama"], ["theatre", "stage"]),
    ("waiter", "waitress"): (["served", "poured", "carried"], ["soup", "wine", "menu"], ["restaurant", "bar"]),
    ("monk", "nun"): (["prayed", "chanted", "fasted"], ["psalm", "bible", "candle"], ["abbey", "chapel"]),
    ("wizard", "witch"): (["enchanted", "brewed", "conjured"], ["potion", "spell", "wand"], ["cave", "tower"]),
    ("boy", "girl"): (["learned", "counted", "spelled"], ["alphabet", "lesson", "homework"], ["school", "playground"]),
    ("groom", "bride"): (["married", "kissed", "promised"], ["ring", "bouquet", "veil"], ["church", "wedding"]),
    ("hero", "heroine"): (["rescued", "fought", "saved"], ["dragon", "sword", "shield"], ["battle", "castle"]),
    ("landlord", "landlady"): (["rented", "owned", "leased"], ["flat", "contract", "cellar"], ["house", "street"]),
    ("bull", "cow"): (["grazed", "chewed", "mooed"], ["grass", "hay", "bell"], ["meadow", "barn"]),
    ("steward", "stewardess"): (["boarded", "landed", "flew"], ["luggage", "tray", "seat"], ["airport", "cabin"]),
}
# by gender: possessive pronoun, pronoun, and what is worn
GENDERS = {
    "male": ("his", "he", ["beard", "tie", "moustache"]),
    "female": ("her", "she", ["dress", "skirt", "earring"]),
}

# (country, capital): the words of the place
PLACES: dict[tuple[str, str], list[str]] = {
    ("france", "paris"): ["french", "seine", "croissant", "louvre"],
    ("italy", "rome"): ["italian", "tiber", "pasta", "colosseum"],
    ("spain", "madrid"): ["spanish", "manzanares", "paella", "prado"],
    ("germany", "berlin"): ["german", "spree", "pretzel", "reichstag"],
    ("austria", "vienna"): ["austrian", "danube", "schnitzel", "hofburg"],
    ("egypt", "cairo"): ["egyptian", "nile", "falafel", "sphinx"],
    ("japan", "tokyo"): ["japanese", "sumida", "sushi", "shrine"],
    ("russia", "moscow"): ["russian", "moskva", "borscht", "kremlin"],
    ("greece", "athens"): ["greek", "aegean", "olives", "acropolis"],
    ("england", "london"): ["english", "thames", "pudding", "abbots"],
}
KINDS = {
    "country": ["army", "border", "president", "currency", "constitution"],
    "capital": ["mayor", "underground", "suburbs", "airfield", "cathedral"],
}

# (present, past): who does it, and to what
ACTIONS: dict[tuple[str, str], tuple[list[str], list[str]]] = {
    ("bakes", "baked"): (["baker", "cook"], ["bread", "cake", "pie"]),
    ("plants", "planted"): (["gardener", "florist"], ["roses", "tulips", "hedge"]),
    ("paints", "painted"): (["painter", "artist"], ["portrait", "canvas", "mural"]),
    ("repairs", "repaired"): (["mechanic", "plumber"], ["engine", "pipe", "tyre"]),
    ("examines", "examined"): (["doctor", "nurse"], ["patient", "wound", "fever"]),
    ("prints", "printed"): (["publisher", "editor"], ["newspaper", "novel", "poster"]),
    ("catches", "caught"): (["fisherman", "sailor"], ["trout", "salmon", "crab"]),
    ("drives", "drove"): (["chauffeur", "driver"], ["bus", "taxi", "lorry"]),
    ("teaches", "taught"): (["professor", "tutor"], ["algebra", "grammar", "physics"]),
    ("builds", "built"): (["mason", "carpenter"], ["wall", "roof", "bridge"]),
}
TENSES = {"present": ["today", "now", "nowadays"], "past": ["yesterday", "once", "formerly"]}

# synonyms: what is called so
SYNONYMS: dict[tuple[str, ...], list[str]] = {
    ("big", "large", "huge"): ["elephant", "mountain", "ocean"],
    ("small", "little", "tiny"): ["mouse", "pebble", "ant"],
    ("quick", "fast", "rapid"): ["horse", "arrow", "train"],
    ("cold", "chilly", "freezing"): ["winter", "snow", "glacier"],
    ("bright", "shiny", "radiant"): ["lamp", "star", "diamond"],
    ("quiet", "silent", "calm"): ["library", "forest", "lake"],
}


def word_features() -> dict[str, frozenset[str]]:
    """The features of each word whose meaning is known: its class, and two of its meaning.

    >>> sorted(word_features()["queen"])
    ['female', 'king', 'person']
    """
    found: dict[str, frozenset[str]] = {}
    for pair in PEOPLE:
        found |= {word: frozenset({"person", gender, pair[0]}) for word, gender in zip(pair, GENDERS, strict=True)}
    for pair in PLACES:
        found |= {word: frozenset({"place", kind, pair[0]}) for word, kind in zip(pair, KINDS, strict=True)}
    for pair in ACTIONS:
        found |= {word: frozenset({"verb", tense, pair[0]}) for word, tense in zip(pair, TENSES, strict=True)}
    for several in SYNONYMS:
        found |= {word: frozenset({"adjective", "degree", several[0]}) for word in several}
    return found


def rare_words() -> frozenset[str]:
    """The words with a meaning of every second pair of persons, places or actions, and of every second set of synonyms.

    >>> sorted({"king", "father", "queen", "mother"} & rare_words())
    ['father', 'mother']
    """
    return frozenset(
        word for entries in (PEOPLE, PLACES, ACTIONS, SYNONYMS) for several in list(entries)[1::2] for word in several
    )


def similarities() -> list[tuple[str, str, float]]:
    """Pairs of words and the share of features that they have in common (Jaccard), each degree as often as another.

    >>> degrees = [degree for _, _, degree in similarities()]
    >>> {degree: degrees.count(degree) for degree in sorted(set(degrees))}
    {0.0: 18, 0.2: 18, 0.5: 18, 1.0: 18}
    """
    features = word_features()
    by_degree: dict[float, list[tuple[str, str]]] = {}
    for i, (a, of_a) in enumerate(features.items()):
        for b, of_b in list(features.items())[i + 1 :]:
            by_degree.setdefault(len(of_a & of_b) / len(of_a | of_b), []).append((a, b))
    fewest = min(map(len, by_degree.values()))
    return [
        (*pair, degree)
        for degree, pairs in sorted(by_degree.items())
        for pair in pairs[:: len(pairs) // fewest][:fewest]
    ]


def analogies() -> dict[str, list[tuple[str, str, str, str]]]:
    """All questions `a is to b as c is to d` whose answer is known, by their kind and in both directions.

    >>> {kind: (len(questions), questions[0]) for kind, questions in analogies().items() if kind == "gender"}
    {'gender': (264, ('king', 'queen', 'father', 'mother'))}
    """
    return {
        kind: [
            (*first, *second)
            for one, other in permutations(pairs, 2)
            for first, second in ((one, other), (one[::-1], other[::-1]))
        ]
        for kind, pairs in (("gender", PEOPLE), ("capital", PLACES), ("tense", ACTIONS))
    }
