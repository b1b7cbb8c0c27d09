"""Asks the published version: which clips are like this one?

Also shows which versions there are, checks one, and goes back to an older one.

exit codes: 0 answered; 2 bad input: nothing is published, an unknown clip, an unreadable video.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components import published
from pipeline import answers, console
from pipeline.parser import OptionParser

#: The settings of a run by which a new clip is decoded: arguments of `clips.decode`.
_SAMPLING = ("num_frames", "frame_step", "image_size")


def main(argv: list[str] | None = None) -> int:
    """Answers; returns the exit code."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    _check(parser, args)
    try:
        if args.list_versions:
            answers.show_versions(args.push_dir)
        elif args.rollback is not None:
            number = published.rollback(args.push_dir, args.rollback or None)
            print(f"Version {number} is live in {args.push_dir}")
        else:
            with published.open_published(args.push_dir, args.version) as version:
                return _ask(version, args)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 0


def _make_parser() -> OptionParser:
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
        const=0,
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
    if args.rollback is not None and args.rollback < 0:
        parser.error(f"--rollback: expected a version's number; got {args.rollback}")


def _ask(version: published.Published, args: argparse.Namespace) -> int:
    if args.verify:
        version.verify()
        count = len(version.manifest.files)
        print(f"Version {version.version} is whole: {count} files are as their hashes say")
        return 0
    conditions = {"class_name": args.class_name, "min_score": args.min_score}
    if args.clip_id is not None:
        found = version.recommend(
            args.clip_id, args.k, exclude_group=args.exclude_group, **conditions
        )
        if args.k is not None and len(found) < args.k:
            print(f"-k: version {version.version} has no more than {len(found)}", file=sys.stderr)
        answers.show(version.version, {args.clip_id: found}, args.format)
        return 0
    bad: dict[str, str] = {}
    found_by_video = _recommend_for_videos(version, args.video, args.k, conditions, bad)
    for path, reason in bad.items():
        print(f"recommend.py: error: --video: {path}: {reason}", file=sys.stderr)
    if found_by_video:
        answers.show(version.version, found_by_video, args.format)
    return 2 if bad else 0


def _recommend_for_videos(
    version: published.Published,
    paths: list[str],
    k: int | None,
    conditions: dict[str, Any],
    bad: dict[str, str],
) -> dict[str, list[published.Recommendation]]:
    """Returns what is like each video; those that cannot be decoded go into `bad`."""
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
        path: version.nearest(vector, k or config["k"], **conditions)
        for path, vector in zip(embedded.clip_ids, embedded.vectors, strict=True)
    }


def _videos(paths: list[str]) -> Iterator[str]:
    """Yields the files, and those below folders that are videos by their names."""
    from components.clip_example_gen import listing

    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"--video: expected a file or folder; there is none at {path}")
        if not path.is_dir():
            yield str(path)
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in listing.VIDEO_SUFFIXES)
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
    with contextlib.suppress(BrokenPipeError):  # `| head`
        raise SystemExit(main())
