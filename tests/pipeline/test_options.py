"""The command line made out of PipelineConfig."""

import pytest

from pipeline import options


def read(*arguments, **defaults):
    return options.parse_config(options.make_parser("test"), list(arguments), **defaults)


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


def test_given_options_win_over_the_caller_s_defaults():
    """A source's own defaults stand until the user says otherwise."""
    assert read(image_size=64).image_size == 64
    assert read("--image-size", "96", image_size=64).image_size == 96


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--k", "0"], ["--k", "1 to 1000", "0"]),
        (["--image-size", "10"], ["--image-size", "32 to 512", "10"]),
        (["--k", "many"], ["--k", "whole number", "many"]),
        (["--clips-per-class", "3,x,1"], ["--clips-per-class", "3,x,1"]),
        (["--split", "random"], ["--split", "group-hash", "random"]),
        (["--surprise"], ["--surprise"]),
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
