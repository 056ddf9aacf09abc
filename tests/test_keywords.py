"""A constructor that passes its `**kwargs` on to its parent has the parent's keywords, too."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from lab.keywords import takes
from lab.recipe.signature import check, parameters


class Parent:
    """
    Args:
        lr: learning rate.
        steps: how many.
    """

    def __init__(self, lr: Annotated[float, Gt(0)] = 1e-3, steps: int = 1) -> None: ...


class Child(Parent):
    """
    Args:
        width: of a layer.
    """

    def __init__(self, width: int, lr: Annotated[float, Gt(0)] = 1e-2, **inherited: Any) -> None:
        super().__init__(lr=lr, **inherited)
        self.width = width


class Grandchild(Child):
    def __init__(self, **inherited: Any) -> None:
        super().__init__(**inherited)


class Settled(Grandchild):
    def __init__(self, **inherited: Any) -> None:
        super().__init__(width=3, **inherited)


class SettledTwice(Settled):
    def __init__(self, **inherited: Any) -> None:
        super().__init__(steps=2, **inherited)


class Taker(Parent):
    def __init__(self, width: int, **extra: Any) -> None:
        super().__init__()
        self.all = {"width": width, **extra}


def test_keywords_of_parents_are_its_own() -> None:
    for kind in (Child, Grandchild):
        found = {keyword.name: keyword for keyword in parameters(kind)}
        assert list(found) == ["width", "lr", "steps"]
        assert found["lr"].default == 1e-2
        assert found["steps"].meaning == "how many."
        assert takes(kind) == (["width", "lr", "steps"], False)
    assert check(Child, {"width": 2, "steps": 3}) == ({"width": 2, "steps": 3}, [])
    assert check(Child, {"width": 2, "lr": -1.0, "step": 3})[1] == [
        ("lr", "expected a number above 0, found -1.0"),
        ("step", "unknown key 'step'; did you mean 'steps'?"),
    ]


def test_what_a_constructor_gives_a_grandparent_by_name_is_no_keyword_of_its_own() -> None:
    assert takes(Settled) == (["lr", "steps"], False)
    assert takes(SettledTwice) == (["lr"], False)


def test_keywords_that_are_not_passed_on_may_have_any_name() -> None:
    assert takes(Taker) == (["width"], True)
    assert check(Taker, {"width": 2, "anything": 3}) == ({"width": 2, "anything": 3}, [])


def test_a_class_made_at_run_time_has_no_source() -> None:
    scope: dict[str, Any] = {"Parent": Parent}
    exec("class Made(Parent):\n    def __init__(self, **more):\n        super().__init__(**more)", scope)
    assert takes(scope["Made"]) == ([], True)


class Popper(Parent):
    """Takes some of its own keywords out of what it passes on."""

    def __init__(self, **more: Any) -> None:
        self.width = more.pop("width", 3)
        more["steps"] = 7
        super().__init__(**more)


class Needy:
    def __init__(self, size: int) -> None:
        self.size = size


class Sure(Needy):
    def __init__(self, **more: Any) -> None:
        more.setdefault("size", 3)
        super().__init__(**more)


def test_keywords_that_a_constructor_takes_out_of_its_own_are_known_and_needed_by_nobody() -> None:
    assert takes(Popper) == (["lr", "steps", "width"], False)
    assert check(Popper, {"width": 5, "lr": 1.0}) == ({"width": 5, "lr": 1.0}, [])
    assert check(Popper, {"widht": 5})[1] == [("widht", "unknown key 'widht'; did you mean 'width'?")]
    assert check(Sure, {}) == ({}, [])
    assert check(Needy, {})[1] != []
