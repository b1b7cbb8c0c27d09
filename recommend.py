"""Asks the published version: which clips are like this one?

exit codes: 0 answered; 2 bad input: nothing is published, an unknown clip, an unreadable video.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from components import published
from pipeline import console
from pipeline.parser import OptionParser

#: The settings of a run by which a new clip is decoded: arguments of `clips.decode`.
_SAMPLING = ("num_frames", "frame_step", "image_size")


def main(argv: list[str] | None = None) -> int:
    """Answers; returns the exit code."""
    parser = OptionParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--push-dir",
        default="output/published",
        metavar="DIR",
        help="where versions are published (default: %(default)s)",
    )
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument("--clip-id", metavar="ID", help="a clip of the library")
    query.add_argument("--video", metavar="FILE", help="a new clip, embedded with the model")
    parser.add_argument("-k", type=int, metavar="N", help="how many (default: all in the table)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.k is not None and arguments.k < 1:
        parser.error(f"-k: expected 1 or more; got {arguments.k}")
    try:
        live = published.open_published(arguments.push_dir)
        if arguments.clip_id is not None:
            found = live.recommend(arguments.clip_id, arguments.k)
        else:
            found = _recommend_for_video(live, arguments.video, arguments.k)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if arguments.k is not None and len(found) < arguments.k:
        print(f"-k: version {live.version} has no more than {len(found)}", file=sys.stderr)
    _show(live.version, arguments.clip_id or arguments.video, found, as_json=arguments.json)
    return 0


def _recommend_for_video(
    live: published.Published, video: str, k: int | None
) -> list[published.Recommendation]:
    if not Path(video).is_file():
        raise ValueError(f"--video: expected a video file; there is none at {video!r}")
    config = live.manifest.config
    if missing := [key for key in (*_SAMPLING, "k") if key not in config]:
        raise ValueError(f"{live.manifest_path}: config: expected {', '.join(missing)}")
    live.verify()  # a model that is not whole fails in TensorFlow in many ways
    with console.quiet(Path(os.devnull)):
        # For videos alone: OpenCV, and TensorFlow once the video is known to decode.
        from components.clip_example_gen import clips

        clip = clips.decode(
            video,
            num_windows=config.get("num_windows", 1),  # older versions know of one
            **{key: config[key] for key in _SAMPLING},
        )

        from components import embedder
        from components.clip_example_gen import examples

        example = examples.to_example(clip_id=video, group="", class_name="", **clip._asdict())
        vector = embedder.Embedder(str(live.model_dir)).embed([example]).vectors[0]
    return live.nearest(vector, k or config["k"])


def _show(
    version: int, query: str, found: list[published.Recommendation], *, as_json: bool
) -> None:
    if as_json:
        neighbors = [recommendation._asdict() for recommendation in found]
        print(json.dumps({"query": query, "version": version, "neighbors": neighbors}))
        return
    screen = console.make_console(sys.stdout)
    header = ("rank", "score", "clip", "class")
    rows = [(str(r.rank), f"{r.score:.4f}", r.clip_id, r.class_name) for r in found]
    screen.print(f"Like {query}, by version {version}:", markup=False)
    console.print_table(screen, header, rows)


if __name__ == "__main__":
    raise SystemExit(main())
