"""Command-line options out of `PipelineConfig`'s fields."""

import argparse
import dataclasses
import re
from collections.abc import Callable
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.knobs import EXPECTED
from pipeline.parser import OptionParser


def make_parser(description: str) -> OptionParser:
    """Returns a parser that has one option for each field of `PipelineConfig`."""
    parser = OptionParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser, PipelineConfig)
    return parser


def add_options(parser: argparse.ArgumentParser, settings: type) -> None:
    """Adds one option for each field of a dataclass that is declared with knobs."""
    for field in dataclasses.fields(settings):
        knob = field.metadata
        kind: dict[str, Any] = {
            "type": _reader(knob["parse"]),
            "action": "append" if knob["repeatable"] else "store",
            "metavar": "|".join(knob["choices"]) or knob["metavar"],
        }
        if knob["parse"] is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(
            _option(field),
            dest=field.name,
            default=argparse.SUPPRESS,
            help=knob["help"] + _default_note(field),
            **kind,
        )


def parse_settings(parser: OptionParser, argv: list[str] | None) -> dict[str, Any]:
    """Returns the fields that `argv` (None: the process's own arguments) gives, by name."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(parser.parse_args(argv)).items()
    }


def make_config(parser: OptionParser, settings: dict[str, Any], kind: type = PipelineConfig) -> Any:
    """Makes a configuration; exits with 2 and one line where a setting is out of bounds.

    Args:
      parser: says what is wrong.
      settings: by name; those that are no fields of `kind` are passed over.
      kind: the configuration's dataclass.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    try:
        return kind(**{name: value for name, value in settings.items() if name in names})
    except ValueError as error:
        parser.error(as_option(str(error), kind))


def as_option(message: str, kind: type = PipelineConfig) -> str:
    """Names settings as options: the one that an error begins with, and others of two words."""
    known = {field.name: _option(field) for field in dataclasses.fields(kind)}
    name, colon, rest = message.partition(": ")
    if name not in known:
        return message
    others = re.compile("|".join(rf"\b{other}\b" for other in known if "_" in other))
    return f"{known[name]}{colon}{others.sub(lambda found: known[found[0]], rest)}"


def _option(field: dataclasses.Field) -> str:
    # What is repeated is named in the singular: --beam-arg, twice.
    name = field.name.removesuffix("s") if field.metadata["repeatable"] else field.name
    return "--" + name.replace("_", "-")


def _reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Lets argparse say what was expected and what came."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"expected {EXPECTED[parse]}; got {text!r}") from error

    return read


def _default_note(field: dataclasses.Field) -> str:
    if field.default in ("", ()):
        return ""
    default = field.default
    if isinstance(default, bool):
        return f" (default: {'yes' if default else 'no'})"
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f" (default: {shown})"
