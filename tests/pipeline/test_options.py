"""The command line made out of PipelineConfig."""

import pytest

from pipeline import options


def read(*arguments):
    parser = options.make_parser("test")
    return options.make_config(parser, options.parse_settings(parser, list(arguments)))


def test_reads_every_kind_of_option():
    """Numbers, names, lists and repeated options arrive as PipelineConfig holds them."""
    config = read(
        "--classes", "Diving,Archery", "--clips-per-class", "3,1,1", "--split=group-hash",
        "--min-recall", "0.5", "--beam-arg=--a=1", "--beam-arg=--b=2", "--seed", "7",
    )  # fmt: skip
    assert config.classes == ("Diving", "Archery")
    assert config.clips_per_class == (3, 1, 1)
    assert (config.split, config.min_recall, config.seed) == ("group-hash", 0.5, 7)
    assert config.beam_args == ("--a=1", "--b=2")


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], False), (["--warm-start"], True), (["--no-warm-start"], False)]
)
def test_switches_have_two_options(arguments, expected):
    """One turns it on, the other off."""
    assert read(*arguments).warm_start is expected


def test_only_what_is_given_is_in_the_settings():
    """A caller can tell what the user said from what is a default."""
    parser = options.make_parser("test")
    assert options.parse_settings(parser, []) == {}
    assert options.parse_settings(parser, ["--k", "3"]) == {"k": 3}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--k", "0"], ["--k", "1 to 1000", "0"]),
        (["--image-size", "10"], ["--image-size", "32 to 512", "10"]),
        (["--k", "many"], ["--k", "whole number", "many"]),
        (["--clips-per-class", "3,x,1"], ["--clips-per-class", "whole numbers", "'3,x,1'"]),
        (["--split-fractions", "a"], ["--split-fractions", "numbers, separated", "'a'"]),
        (["--refresh", "--warm-start"], ["--refresh: expected no --warm-start beside it"]),
        (["--optimizer", "adam"], ["--optimizer", "adamw", "sgd", "adam"]),
        (["--warm-start=perhaps"], ["--warm-start", "perhaps"]),
        (["--split", "random"], ["--split", "group-hash", "random"]),
        (["--surprise"], ["--surprise"]),
        (["--image", "64"], ["--image"]),
        (["--beam-arg=runner"], ["--beam-arg", "--name", "runner"]),
    ],
)
def test_bad_options_give_one_line_and_exit_code_2(arguments, parts, capsys):
    """What was wrong, what was expected and what came, in one line."""
    with pytest.raises(SystemExit) as stopped:
        read(*arguments)
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for part in parts:
        assert part in message
