"""How a setting is declared: its default, its bounds, and what the command line shows of it."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from components.clip_example_gen import splits


def knob(
    default: Any,
    help: str,
    *,
    parse: Callable[[str], Any] = str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    metavar: str = "N",
    repeatable: bool = False,
    shapes_result: bool = True,
) -> Any:
    """Declares a field of a dataclass.

    Args:
      default: of the field.
      help: what it is, with its unit.
      parse: makes a value of the command line's text; bool for a switch, on or off.
      low, high: bounds of a number, both included.
      choices: of a name.
      metavar: stands for the value in the help.
      repeatable: whether the option may be given several times.
      shapes_result: whether what is published depends on it.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "parse": parse,
            "low": low,
            "high": high,
            "choices": choices,
            "metavar": metavar,
            "repeatable": repeatable,
            "shapes_result": shapes_result,
        },
    )


def whole(default: int, help: str, low: int, high: int, **options: Any) -> Any:
    """Declares a whole number from `low` to `high`."""
    return knob(default, help, parse=int, low=low, high=high, **options)


def number(default: float, help: str, low: float, high: float, **options: Any) -> Any:
    """Declares a number from `low` to `high`."""
    return knob(default, help, parse=float, low=low, high=high, metavar="X", **options)


def switch(default: bool, help: str) -> Any:
    """Declares what is on or off."""
    return knob(default, help, parse=bool)


def check(field: dataclasses.Field, value: Any) -> None:
    """Raises ValueError that names the field, what was expected and what came."""
    low, high, choices = (field.metadata[name] for name in ("low", "high", "choices"))
    if low is not None and not low <= value <= high:
        raise ValueError(f"{field.name}: expected {low} to {high}; got {value}")
    if choices and value not in choices:
        raise ValueError(f"{field.name}: expected one of {', '.join(choices)}; got {value!r}")


def parse_classes(text: str) -> int | str | tuple[str, ...]:
    """Reads `"10"` as the first ten classes, `"Archery,Diving"` as these two, `"all"` as it is."""
    text = text.strip()
    if text == splits.ALL_CLASSES:
        return text
    if re.fullmatch("-?[0-9]+", text):
        return int(text)
    return tuple(name.strip() for name in text.split(","))


def parse_fractions(text: str) -> tuple[float, ...]:
    """Reads `"0.6,0.2,0.2"`."""
    return tuple(float(part) for part in text.split(","))


def parse_clips_per_class(text: str) -> tuple[int, ...]:
    """Reads `"30,10,10"`."""
    return tuple(int(part) for part in text.split(","))


#: What those that refuse a text expect, for people.
EXPECTED: dict[Callable[[str], Any], str] = {
    int: "a whole number",
    float: "a number",
    parse_fractions: "numbers, separated by commas",
    parse_clips_per_class: "whole numbers, separated by commas",
}
