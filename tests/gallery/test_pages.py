"""The gallery's other pages in a browser, its looks, and what it refuses to do."""

import http.server
import threading

import numpy as np
import pytest

from tests.gallery import library

VIEWS = ("#/clips", "#/map", "#/figures", "#/card")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def corner(page, sign=1):
    """Returns where clip 0 (sign 1) or 1 (sign -1) is on the screen, by the map's own geometry."""
    box = page.locator(".map-frame canvas").bounding_box()
    half = min(box["width"], box["height"]) / 2 - 28
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return x + sign * half, y - sign * half


def test_map_hover_and_click(small, open_page):
    """Pointing at a mark tells the clip and plays it; a click opens it."""
    path, parts = small
    page = open_page(path, "#/map")
    tooltip = page.locator(".tooltip")
    page.mouse.move(*corner(page))
    assert tooltip.locator(".tile-id").inner_text() == parts["clips"].ids[0]
    assert tooltip.locator(".strip").evaluate("(e) => e.style.backgroundImage.length") > 200
    page.mouse.move(*corner(page, -1))
    assert tooltip.locator(".tile-id").inner_text() == parts["clips"].ids[1]
    x, y = corner(page)
    page.mouse.move(x - 60, y)
    assert tooltip.is_hidden()
    page.mouse.click(x, y)
    page.get_by_role("heading", name=parts["clips"].ids[0]).wait_for()


def test_map_zoom_and_drag(small, open_page):
    """The wheel zooms about the pointer, a drag moves the map as far as the pointer went."""
    path, parts = small
    page = open_page(path, "#/map")
    x, y = corner(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.mouse.move(x + 1, y)
    name = page.locator(".tooltip .tile-id")
    assert name.inner_text() == parts["clips"].ids[0]
    page.mouse.down()
    page.mouse.move(x - 99, y + 80, steps=5)
    page.mouse.up()
    assert page.locator(".tooltip").is_hidden()
    page.mouse.move(x - 100, y + 80)
    assert name.inner_text() == parts["clips"].ids[0]
    page.get_by_role("button", name="Show all").click()
    page.mouse.move(x, y)
    assert name.inner_text() == parts["clips"].ids[0]


def test_map_by_keyboard(small, open_page):
    """Arrows move the map and name the clip in the middle, which Enter opens."""
    path, parts = small
    page = open_page(path, f"#/map?clip={parts['clips'].ids[5]}")
    assert page.locator(".tooltip .tile-id").inner_text() == parts["clips"].ids[5]
    page.locator(".map-frame canvas").focus()
    page.keyboard.press("+")
    page.keyboard.press("0")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowUp")
    assert page.locator(".tooltip .tile-id").inner_text() == parts["clips"].ids[0]
    assert parts["clips"].ids[0] in page.locator("#status").inner_text()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=parts["clips"].ids[0]).wait_for()


def test_map_shows_a_class_alone(small, open_page):
    """A class of the legend is shown alone, and is in the link; other clips are not pointed at."""
    path, parts = small
    page = open_page(path, "#/map")
    page.get_by_role("button", name="Bowling").click()
    assert page.get_by_role("button", name="Bowling").get_attribute("aria-pressed") == "true"
    page.mouse.move(*corner(page))
    assert page.locator(".tooltip").is_hidden()
    shared = open_page(path, page.evaluate("location.hash"))
    shared.mouse.move(*corner(shared, -1))
    assert shared.locator(".tooltip .tile-id").inner_text() == parts["clips"].ids[1]


def test_map_by_fingers(small, open_page):
    """Two fingers that part to twice their distance double the map; a second tap opens a clip."""
    path, parts = small
    page = open_page(path, "#/map", **PHONE)
    page.locator(".map-frame").scroll_into_view_if_needed()
    box = page.locator(".map-frame canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.touchscreen.tap(*corner(page))
    assert page.locator(".tooltip .tile-id").inner_text() == parts["clips"].ids[0]
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [{"x": at[0], "y": at[1], "id": i} for i, at in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    # Down and to the left, so that clip 0 stays on the screen at twice the size.
    left, top = x + 120, y - 120
    fingers("touchStart", (left - 30, top), (left + 30, top))
    for step in range(1, 7):
        fingers("touchMove", (left - 30 - 5 * step, top), (left + 30 + 5 * step, top))
    fingers("touchEnd")
    corner_x, corner_y = corner(page)
    place = left + 2 * (corner_x - left), top + 2 * (corner_y - top)
    assert page.locator(".tooltip").is_hidden()
    page.touchscreen.tap(*place)
    assert page.locator(".tooltip").is_visible()
    assert page.locator(".tooltip .tile-id").inner_text() == parts["clips"].ids[0]
    page.touchscreen.tap(*place)
    page.get_by_role("heading", name=parts["clips"].ids[0]).wait_for()


def test_figures(small, open_page):
    """Metrics with their intervals, classes from the worst, confusion by the table, and plots."""
    page = open_page(small[0], "#/figures")
    tiles = dict(
        zip(
            page.locator(".metric dt").all_inner_texts(),
            page.locator(".metric dd").all_inner_texts(),
            strict=True,
        )
    )
    assert tiles["Recall@1"].split("\n") == ["0.625", "95 %: 0.500 to 0.750"]
    assert tiles["Accuracy"].split("\n") == ["0.750", "no interval"]
    assert list(tiles) == ["Recall@1", "Recall@5", "mAP@10", "Accuracy"]
    rows = page.locator(".scroll.tall tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == sorted(library.NAMES)
    errors = page.locator(".two tbody tr").all_inner_texts()
    # A clip's nearest neighbor is the next clip, of the next class.
    following = dict(zip(library.NAMES, (*library.NAMES[1:], library.NAMES[0]), strict=True))
    assert {tuple(row.split()) for row in errors} == {(a, b, "6") for a, b in following.items()}
    box = page.locator(".matrix").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.1)
    text = page.locator(".matrix-caption").inner_text()
    assert text == "Archery: 6 of 6 clips nearest to Bowling"
    assert page.locator("figure img").evaluate("(image) => image.naturalWidth") == 9


def test_card(small, open_page):
    """The card's Markdown is shown as headings, tables and code; its HTML as text."""
    page = open_page(small[0], "#/card")
    page.get_by_role("heading", name="Version 7").wait_for()
    assert "Made *here* with" in page.locator(".card p").first.inner_text()
    assert page.locator(".card code").inner_text() == "code <b>"
    assert page.locator(".card td").all_inner_texts() == ["a|b <i>", "3"]


@pytest.mark.parametrize("view", [*VIEWS, "#/clip/"])
def test_names_are_text(odd, open_page, view):
    """Names that are HTML stand on every page as text, and nothing of them runs or is loaded."""
    path, parts = odd
    if view == "#/clip/":
        page = open_page(path)
        page.locator(".tile").nth(0).click()
        assert page.locator("h1").inner_text() == parts["clips"].ids[0]
    else:
        page = open_page(path, view)
    if view != "#/card":
        text = page.locator("main").inner_text()
        assert "<script>alert(1)</script>" in text
        assert "onerror=alert(1)>" in text
        assert "(no class)" in text
    assert page.locator("main img:not([src^='data:'])").count() == 0
    assert page.locator("main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_schemes_are_legible(small, open_page, scheme):
    """Text has a contrast of 4.5 to its ground in both schemes (WCAG 2.2, 1.4.3)."""
    page = open_page(small[0], color_scheme=scheme)
    names = ("ink", "soft", "accent", "good", "warn", "paper", "surface")
    style = page.evaluate(
        "(names) => names.map((n) => getComputedStyle(document.body).getPropertyValue('--' + n))",
        list(names),
    )
    channels = {
        name: np.array([int(value.strip()[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        for name, value in zip(names, style, strict=True)
    }
    linear = {
        n: np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        for n, c in channels.items()
    }
    light = {name: float(value @ (0.2126, 0.7152, 0.0722)) for name, value in linear.items()}
    assert (light["paper"] < 0.1) == (scheme == "dark")
    for text in names[:5]:
        for ground in names[5:]:
            low, high = sorted((light[text], light[ground]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert body == "rgb({}, {}, {})".format(*(channels["paper"] * 255).round().astype(int))


def test_the_scheme_may_change(small, open_page):
    """Marks take on the colors of the other scheme while the page is open."""
    page = open_page(small[0], color_scheme="light")
    color = "getComputedStyle(document.querySelector('.mark')).backgroundColor"
    before = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    library.until(page, f"{color} !== '{before}'")


@pytest.mark.parametrize("view", [*VIEWS, "clip"])
@pytest.mark.parametrize("which", ["small", "odd"])
def test_phone_has_no_sideways_scroll(request, open_page, view, which):
    """On a phone every page fits the width of the screen."""
    path, _ = request.getfixturevalue(which)
    page = open_page(path, "" if view == "clip" else view, **PHONE)
    if view == "clip":
        page.locator(".tile").nth(1).tap()
        page.locator(".neighbor").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("window.innerWidth") == 390


@pytest.fixture
def stranger():
    """A server beside the page, and the paths that it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_the_policy_stops_requests(small, open_page, stranger):
    """Even a script that got into the page could not ask another machine, nor be added."""
    page = open_page(small[0])
    url, asked = stranger
    blocked = page.evaluate(
        """async (url) => {
          const blocked = [];
          document.addEventListener("securitypolicyviolation", (event) =>
            blocked.push(event.effectiveDirective));
          new Image().src = `${url}/a.png`;
          await fetch(`${url}/b`).catch(() => {});
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          await new Promise((done) => setTimeout(done, 100));
          return [blocked.sort(), window.ran];
        }""",
        url,
    )
    assert blocked == [["connect-src", "img-src", "script-src-elem"], None]
    assert asked == []
    # The browser tells of what it blocked, as it should.
    told = ("Content Security Policy", f"request: {url}", "Fetch API cannot load")
    assert all(any(part in fault for part in told) for fault in page.faults), page.faults
    page.faults.clear()
