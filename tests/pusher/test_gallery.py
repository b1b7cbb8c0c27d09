"""The gallery's page as a file: what it holds, and that nothing leaves it."""

import base64
import hashlib
import html.parser
import json
import math
import re

import numpy as np
import pytest

from components.pusher import gallery, gallery_data
from tests.gallery import library


class Parsed(html.parser.HTMLParser):
    """The elements of a page: attributes of all, texts of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.texts = []
        self.inside = False  # a script or a style
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = tag in self.CDATA_CONTENT_ELEMENTS

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data

    def of(self, tag):
        pairs = zip(self.elements, self.texts, strict=True)
        return [(attributes, text) for (name, attributes), text in pairs if name == tag]

    @property
    def data(self):
        found = [(a, t) for a, t in self.of("script") if a.get("type") == "application/json"]
        return {attributes["id"]: json.loads(text) for attributes, text in found}


def write(path, **changes):
    """Writes a page of the library with changes; returns its bytes and its parts."""
    parts = library.make() | changes
    gallery.write_gallery(path / "index.html", **parts)
    return (path / "index.html").read_bytes(), parts


def parsed(path, **changes):
    return Parsed(write(path, **changes)[0].decode())


def test_nothing_of_it_lies_elsewhere(tmp_path):
    """No address in markup, style or program points out of the file."""
    page = parsed(tmp_path)
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("href", "src", "srcset", "action", "data", "poster", "style")
    ]
    assert addresses
    assert all(value.startswith(("#", "data:")) for value in addresses)
    programs = [text for attributes, text in page.of("script") if "type" not in attributes]
    assert len(programs) == 1
    assert "url(" not in page.of("style")[0][1]
    for text in (programs[0], page.of("style")[0][1]):
        assert not re.search(r"//[a-z]|@import|innerHTML|insertAdjacentHTML|document\.write", text)


def test_policy_names_style_and_program_alone(tmp_path):
    """The policy forbids all but the very style and program in the page, and pictures in it."""
    page = parsed(tmp_path)
    (policy,) = [a["content"] for a, _ in page.of("meta") if "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def digest(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    (program,) = [text for attributes, text in page.of("script") if "type" not in attributes]
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": digest(page.of("style")[0][1]),
        "script-src": digest(program),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_names_cannot_end_their_block(tmp_path):
    """Whatever names hold, the page has the same elements, and the data are what they were."""
    plain = parsed(tmp_path)
    odd = library.make(names=library.ODD_NAMES)
    odd["model_card"] = "</script><script>alert(1)</script>"
    content, _ = write(tmp_path, **odd)
    page = Parsed(content.decode())
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.data["library"]["ids"] == list(odd["clips"].ids)
    names = page.data["library"]["classes"]["names"]
    assert names == sorted(library.ODD_NAMES)
    assert page.data["card"] == "</script><script>alert(1)</script>"
    assert b"alert(1)" not in re.sub(rb'<script type="application/json".*?</script>', b"", content)


def test_columns_tell_each_clip(tmp_path):
    """Each clip's class, group, split, duration and neighbors are found again in the page."""
    page, parts = parsed(tmp_path), library.make()
    columns, clips = page.data["library"], parts["clips"]
    for name in ("classes", "groups", "splits"):
        names = columns[name]["names"]
        assert [names[i] for i in columns[name]["of_clip"]] == list(getattr(clips, name))
    assert columns["durations"] == pytest.approx(clips.durations, abs=0.01)
    table = page.data["neighbors"]
    for query in range(24):
        assert table["neighbors"][query] == [(query + rank) % 24 for rank in range(1, 6)]
        scores = np.array(table["scores"][query]) / table["score_steps"]
        np.testing.assert_allclose(scores, 1 - 0.05 * np.arange(1, 6), atol=1e-4)
    # The map keeps its proportions, and is known to a screen's precision.
    found = np.stack([columns["x"], columns["y"]], axis=1) / columns["map_steps"]
    np.testing.assert_allclose(found, parts["positions"], atol=1e-4)


def test_order_of_rows_is_no_matter(tmp_path):
    """A neighbor table in another order gives the same page."""
    content, parts = write(tmp_path)
    order = np.random.default_rng(0).permutation(len(parts["neighbors"].queries))
    columns = [[column[i] for i in order] for column in parts["neighbors"]]
    assert write(tmp_path, neighbors=gallery_data.Neighbors(*columns))[0] == content


def test_same_input_same_bytes(tmp_path):
    """The page holds nothing of the time or the place where it was made."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    content, _ = write(tmp_path / "a")
    assert write(tmp_path / "b")[0] == content
    assert str(tmp_path).encode() not in content
    assert b"secret-folder" not in content


def previews_of(page, count, chunk):
    """Returns the strips by clip, None where there is none."""
    found = [page.data[f"previews-{i}"] for i in range(math.ceil(count / chunk))]
    assert f"previews-{len(found)}" not in page.data
    return [base64.b64decode(strip) if strip else None for part in found for strip in part]


def test_previews_lie_at_their_clips(tmp_path):
    """Strips come in chunks, each at its clip's place; clips without one hold it free."""
    parts = library.make(count=230)
    del parts["previews"][parts["clips"].ids[105]]
    page = parsed(tmp_path, **parts)
    found = previews_of(page, 230, page.data["about"]["clips_per_chunk"])
    assert found == [parts["previews"].get(name) for name in parts["clips"].ids]
    assert page.data["about"]["num_previews"] == 229


def test_page_keeps_to_its_budget(tmp_path):
    """Previews are dropped to keep to it, no more than need be, and every class keeps some."""
    parts = library.make(count=240)
    bare = len(write(tmp_path, **(parts | {"previews": {}}))[0])
    size = len(base64.b64encode(library.strip()))
    budget = bare + 240 * 3 + 60 * size + 2000
    content, _ = write(tmp_path, **parts, max_bytes=budget)
    page = Parsed(content.decode())
    kept = previews_of(page, 240, page.data["about"]["clips_per_chunk"])
    names = [name for name, strip in zip(parts["clips"].classes, kept, strict=True) if strip]
    assert budget - 2 * size - 2500 < len(content) <= budget
    assert page.data["about"]["num_previews"] == len(names)
    counts = [names.count(name) for name in library.NAMES]
    assert max(counts) - min(counts) <= 1 and min(counts) > 10
    with pytest.raises(ValueError, match=r"max_bytes: expected \d+ or more; got 1000"):
        write(tmp_path, **parts, max_bytes=1000)


def test_metrics_that_are_no_numbers(tmp_path):
    """NaN, which JSON has not, becomes null; metrics that the page does not know are left out."""
    parts = library.make()
    parts["version"].metrics.update(map_at_10=math.nan, recall={"1": math.inf}, other=3)
    metrics = parsed(tmp_path, **parts).data["about"]["metrics"]
    assert metrics["map_at_10"] is None and metrics["recall"] == {"1": None}
    assert "other" not in metrics


def test_one_clip_without_neighbors(tmp_path):
    """A library of a single clip, without neighbors, previews and plots, has its page."""
    parts = library.make(count=1, k=0)
    page = parsed(tmp_path, **(parts | {"previews": {}, "plots": {}}))
    assert page.data["neighbors"]["neighbors"] == [[]]
    assert page.data["library"]["x"] == [0]


def broken():
    """Yields changes to the library's parts, and what is said of them."""
    parts = library.make()
    clips, rows, places = parts["clips"], parts["neighbors"], parts["positions"]
    yield {"clips": clips._replace(ids=[clips.ids[0]] * 24)}, "clips.ids: expected unique"
    yield {"clips": clips._replace(splits=clips.splits[1:])}, "clips.splits: expected 24; got 23"
    yield {"clips": clips._replace(durations=[math.nan] * 24)}, "clips.durations: expected finite"
    yield {"clips": gallery_data.Clips([], [], [], [], [])}, "clips.ids"
    yield {"positions": places[1:]}, "positions: expected finite .24, 2.; got .23, 2."
    yield {"positions": places * np.float32(math.nan)}, "positions: expected finite"
    yield {"neighbors": rows._replace(scores=rows.scores[1:])}, "neighbors.scores: expected 120"
    others = ["nobody", *rows.neighbors[1:]]
    yield {"neighbors": rows._replace(neighbors=others)}, "neighbors.neighbors: .* 'nobody'"
    yield {"neighbors": rows._replace(ranks=[2, *rows.ranks[1:]])}, "neighbors.ranks: expected 1"
    yield {"previews": {clips.ids[0]: b"\x89PNG"}}, "previews: expected lossy WebP"
    yield {"plots": {"bad": b"<html>"}}, "plots: expected PNG or SVG; bad"


@pytest.mark.parametrize(("changes", "message"), broken(), ids=lambda value: str(value)[:30])
def test_parts_that_do_not_fit(tmp_path, changes, message):
    """Each is refused by name, and no page is left behind."""
    with pytest.raises(ValueError, match=message):
        write(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []
