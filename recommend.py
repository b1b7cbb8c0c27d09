"""Asks the published version: which clips are like this one?

exit codes: 0 answered; 2 bad input: nothing is published, an unknown clip, an unreadable video.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from components import published
from pipeline import console, options
from pipeline.config import PipelineConfig


def main(argv: list[str] | None = None) -> int:
    """Answers; returns the exit code."""
    parser = options.OptionParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--push-dir",
        default=PipelineConfig().push_dir,
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
    except ValueError as error:
        parser.error(str(error))
    if arguments.k is not None and len(found) < arguments.k:
        print(f"version {live.version} has {len(found)} neighbors a clip", file=sys.stderr)
    _show(live.version, arguments.clip_id or arguments.video, found, as_json=arguments.json)
    return 0


def _recommend_for_video(
    live: published.Published, video: str, k: int | None
) -> list[published.Recommendation]:
    if not Path(video).is_file():
        raise ValueError(f"--video: expected a video file; there is none at {video!r}")
    with console.quiet(Path(os.devnull)):
        # TensorFlow and OpenCV: for videos alone.
        from components import embedder
        from components.clip_example_gen import clips, examples, shards

        sampling = {key: live.manifest.config[key] for key in shards.Sampling._fields}
        clip = clips.decode(Path(video).read_bytes(), **sampling)
        example = examples.to_example(clip_id=video, group="", class_name="", **clip._asdict())
        vector = embedder.Embedder(str(live.model_dir)).embed([example]).vectors[0]
    return live.nearest(vector, k or live.manifest.config["k"])


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
