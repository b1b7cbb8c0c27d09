"""Asks the published version: which clips are like this one?

Also shows which versions there are, checks one, and goes back to an older one.

exit codes: 0 answered, or done; 130 interrupted; 2 anything else: bad input, nothing published, an
unknown clip, an unreadable video, a version that --verify finds damaged or --list-versions cannot
read, none that --rollback can go back to. If the reader of the output goes early, that is 0.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import leaving
from pipeline.parser import OptionParser

# Functions import what is slow to import: `main` sees to Ctrl-C before.
if TYPE_CHECKING:
    from components import published

DONE, BAD_INPUT = 0, 2

#: The settings of a run by which a new clip is decoded: arguments of `clips.decode`.
_SAMPLING = ("num_frames", "frame_step", "image_size")
#: Arguments that `ValueError`s name -> where a user gives them.
_ORIGINS = {
    "push_dir": "--push-dir",
    "version": "--version",
    "clip_id": "--clip-id",
    "class_name": "--class",
}
#: --rollback without a number.
_PREVIOUS = object()


def main(argv: list[str] | None = None) -> int:
    """Answers; returns the exit code."""
    if sys.stderr is None:  # closed: what is opened next would be taken for it
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - it stays open
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it stays open
        return _fail("stdout: expected it to be open; it is closed")
    leaving.end_when_interrupted()
    try:
        try:
            return _act(argv)
        finally:
            leaving.flush_stdout()
    except BrokenPipeError:  # `| head`: the reader has what it wanted
        leaving.discard(sys.stdout)
        leaving.discard(sys.stderr)
        return DONE
    except (ValueError, OSError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    """Says what is wrong, if anybody listens; returns the exit code."""
    try:
        print(f"recommend.py: error: {message}", file=sys.stderr, flush=True)
    except OSError:
        leaving.discard(sys.stderr)
    return BAD_INPUT


def _act(argv: list[str] | None) -> int:
    """Does what the options say; returns the exit code."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    _check(parser, args)
    try:
        return _answer(args)
    except ValueError as error:
        name, colon, rest = str(error).partition(": ")
        given = _ORIGINS | ({} if args.rollback is None else {"version": "--rollback"})
        raise ValueError(f"{given.get(name, name)}{colon}{rest}") from error


def _answer(args: argparse.Namespace) -> int:
    from components import published
    from pipeline import answers

    if args.list_versions:
        return DONE if answers.show_versions(args.push_dir) else BAD_INPUT
    if args.rollback is not None:
        number = None if args.rollback is _PREVIOUS else args.rollback
        number = published.rollback(args.push_dir, number)
        print(f"Version {number} is live in {args.push_dir}")
        return DONE
    with published.open_published(args.push_dir, args.version) as version:
        return _ask(version, args)


def _make_parser() -> OptionParser:
    from pipeline import answers

    parser = OptionParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--push-dir",
        default="output/published",
        metavar="DIR",
        help="where versions are published: a folder, s3:// or gs:// (default: %(default)s)",
    )
    add("--version", type=int, metavar="V", help="of which version (default: the live one)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--clip-id", metavar="ID", help="like a clip of the library")
    what.add_argument(
        "--video",
        nargs="+",
        metavar="PATH",
        help="like new clips, embedded with the model: files, and folders with all below them",
    )
    what.add_argument("--list-versions", action="store_true", help="show what is published")
    what.add_argument("--verify", action="store_true", help="compare every file with its hash")
    what.add_argument(
        "--rollback",
        nargs="?",
        type=int,
        const=_PREVIOUS,
        metavar="VERSION",
        help="make a version live again (default: the one before the live one)",
    )
    add("-k", type=int, metavar="N", help="how many (default: all in the table)")
    add(
        "--exclude-group",
        action=argparse.BooleanOptionalAction,
        help="leave out clips of the same source video (default: as the table was made)",
    )
    add("--class", dest="class_name", metavar="NAME", help="of this class alone")
    add("--min-score", type=float, metavar="X", help="with this score or a higher one")
    add(
        "--format",
        choices=answers.FORMATS,
        default=answers.FORMATS[0],
        help="one JSON object a query, or rows (default: %(default)s)",
    )
    return parser


def _check(parser: OptionParser, args: argparse.Namespace) -> None:
    """Exits where options are out of bounds or do not go together."""
    if args.k is not None and args.k < 1:
        parser.error(f"-k: expected 1 or more; got {args.k}")
    if args.min_score is not None and not -1 <= args.min_score <= 1:
        parser.error(f"--min-score: expected -1 to 1; got {args.min_score}")
    if args.exclude_group is not None and args.clip_id is None:
        parser.error("--exclude-group: expected --clip-id; a new clip has no group")
    for option, number in (("--version", args.version), ("--rollback", args.rollback)):
        if isinstance(number, int) and number < 1:
            parser.error(f"{option}: expected a version's number; got {number}")
    if args.version is not None and (args.list_versions or args.rollback is not None):
        parser.error("--version: expected --clip-id, --video or --verify beside it")
    if "" in (args.video or ()):
        parser.error("--video: expected a file or folder; got ''")


def _ask(version: "published.Published", args: argparse.Namespace) -> int:
    from pipeline import answers

    if args.verify:
        version.verify()
        count = len(version.manifest.files)
        print(f"Version {version.version} is whole: {count} files are as their hashes say")
        return DONE
    conditions = {"class_name": args.class_name, "min_score": args.min_score}
    if args.clip_id is not None:
        found = version.recommend(
            args.clip_id, args.k, exclude_group=args.exclude_group, **conditions
        )
        if args.k is not None and len(found) < args.k:
            print(f"-k: version {version.version} has no more than {len(found)}", file=sys.stderr)
        answers.show(version.version, {args.clip_id: found}, args.format)
        return DONE
    bad: dict[str, str] = {}
    found_by_video = _recommend_for_videos(version, args.video, args.k, conditions, bad)
    for path, reason in bad.items():
        print(f"recommend.py: error: --video: {path}: {reason}", file=sys.stderr)
    if found_by_video:
        answers.show(version.version, found_by_video, args.format)
    return BAD_INPUT if bad else DONE


def _recommend_for_videos(
    version: "published.Published",
    paths: list[str],
    k: int | None,
    conditions: dict[str, Any],
    bad: dict[str, str],
) -> dict[str, list["published.Recommendation"]]:
    """Returns what is like each video; those that cannot be decoded go into `bad`."""
    from components import published
    from pipeline import console

    config = version.manifest.config
    if missing := [key for key in (*_SAMPLING, "k") if key not in config]:
        where = f"{version.location}/{published.MANIFEST_FILE}"
        raise ValueError(f"{where}: config: expected {', '.join(missing)}")
    # A model that is not whole fails in TensorFlow, in many ways.
    version.verify(published.MODEL_DIR)
    with console.quiet(Path(os.devnull)):
        examples = _examples(list(_videos(paths)), config, bad)
        if (first := next(examples, None)) is None:
            return {}
        from components import embedder  # TensorFlow, once a video is known to decode

        def decoded() -> Iterator[bytes]:
            yield first
            yield from examples

        with version.local(published.MODEL_DIR) as folder:
            embedded = embedder.Embedder(str(folder)).embed(decoded())
    return {
        path: version.nearest(vector, config["k"] if k is None else k, **conditions)
        for path, vector in zip(embedded.clip_ids, embedded.vectors, strict=True)
    }


def _videos(paths: list[str]) -> Iterator[str]:
    """Yields the files, and of folders what a pipeline with the folder as its source would take."""
    from components.clip_example_gen import listing

    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"--video: expected a file or folder; there is none at {path}")
        if not path.is_dir():
            yield str(path)
            continue
        found = sorted(
            below
            for below in path.rglob("*")
            if listing.is_video(str(below.relative_to(path))) and below.is_file()
        )
        if not found:
            raise ValueError(f"--video: expected videos in {path}; there are none")
        yield from map(str, found)


def _examples(videos: list[str], config: dict[str, Any], bad: dict[str, str]) -> Iterator[bytes]:
    from components.clip_example_gen import clips  # OpenCV

    for video in dict.fromkeys(videos):
        try:
            clip = clips.decode(
                video,
                num_windows=config.get("num_windows", 1),  # older versions know of one
                **{key: config[key] for key in _SAMPLING},
            )
        except (ValueError, OSError) as error:
            bad[video] = str(error)
            continue
        from components.clip_example_gen import examples  # TensorFlow

        yield examples.to_example(clip_id=video, group="", class_name="", **clip._asdict())


if __name__ == "__main__":
    leaving.leave(main())
