"""The gallery's clips in a browser: found, filtered, walked, played."""

import cv2
import numpy as np
import pytest

from tests.gallery import library


def ids(page):
    return page.locator(".tile .tile-id").all_inner_texts()


def test_search_and_filters(small, open_page):
    """Words, class and split each narrow what is shown to exactly those clips, and say how many."""
    path, parts = small
    clips = parts["clips"]
    page = open_page(path)
    assert ids(page) == list(clips.ids)
    page.get_by_label("Search clips").fill("DIVING 0001")
    wanted = [name for name in clips.ids if "Diving" in name and "0001" in name]
    library.until(page, f"document.querySelectorAll('.tile').length === {len(wanted)}")
    assert len(wanted) > 1
    assert ids(page) == wanted
    page.get_by_label("Search clips").fill("")
    page.get_by_label("Class", exact=True).select_option("=Bowling")
    page.get_by_label("Split").select_option("eval")
    columns = zip(clips.ids, clips.classes, clips.splits, strict=True)
    wanted = [name for name, kind, split in columns if (kind, split) == ("Bowling", "eval")]
    assert ids(page) == wanted
    assert page.locator(".count").inner_text() == f"{len(wanted)} of 24 clips"
    page.get_by_label("Search clips").fill("nobody")
    page.get_by_text("No clip meets these conditions.").wait_for()
    assert ids(page) == []
    page.get_by_role("link", name="Show all clips").click()
    assert ids(page) == list(clips.ids)
    assert page.get_by_label("Search clips").input_value() == ""


def test_conditions_are_in_the_link(odd, open_page):
    """A link with conditions shows what its sender saw, whatever the class is called."""
    path, parts = odd
    page = open_page(path)
    for name in library.ODD_NAMES:
        page.get_by_label("Class", exact=True).select_option(f"={name}")
        shared = open_page(path, page.evaluate("location.hash"))
        columns = zip(parts["clips"].ids, parts["clips"].classes, strict=True)
        assert len(ids(shared)) == len([1 for _, kind in columns if kind == name]) == 4
        assert shared.get_by_label("Class", exact=True).input_value() == f"={name}"


def test_walk_through_three_clips_and_back(small, open_page):
    """Each click on the best neighbor opens it; back and forward go the same way."""
    path, parts = small
    clips = parts["clips"].ids
    page = open_page(path)
    page.locator(".tile").nth(2).click()
    for at in (2, 3, 4):
        page.get_by_role("heading", name=clips[at], exact=True).wait_for()
        assert page.locator(".neighbor .tile-id").all_inner_texts() == list(clips[at + 1 : at + 6])
        page.locator(".neighbor a").first.click()
    page.get_by_role("heading", name=clips[5], exact=True).wait_for()
    for at in (4, 3, 2):
        page.go_back()
        page.get_by_role("heading", name=clips[at], exact=True).wait_for()
    page.go_forward()
    page.get_by_role("heading", name=clips[3], exact=True).wait_for()


def test_a_clip_by_its_link(small, open_page):
    """A shared link opens the clip: scores, ranks, marks of the class, and what is known of it."""
    path, parts = small
    clips = parts["clips"]
    page = open_page(path, f"#/clip/{clips.ids[8]}")
    assert page.locator(".neighbor .score .number").all_inner_texts() == [
        f"{1 - 0.05 * rank:.3f}" for rank in range(1, 6)
    ]
    assert page.locator(".neighbor .rank").all_inner_texts() == list("12345")
    same = [clips.classes[8 + rank] == clips.classes[8] for rank in range(1, 6)]
    assert True in same and False in same
    verdicts = ["same class" if is_same else "other class" for is_same in same]
    assert page.locator(".neighbor .verdict").all_inner_texts() == verdicts
    facts = page.locator(".facts dd").all_inner_texts()
    assert facts == [clips.classes[8], clips.groups[8], clips.splits[8], "3.5 s"]


def test_copied_link(small, open_page):
    """A clip's link goes to the clipboard; where there is none it stands on the page, selected."""
    page = open_page(small[0], f"#/clip/{small[1]['clips'].ids[8]}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copied").click()
    library.until(page, "document.activeElement.className === 'share-link'")
    assert page.get_by_label("Link").input_value() == page.url
    assert page.evaluate("getSelection().toString()") == page.url


@pytest.mark.parametrize("hash_", ["#/clip/nobody", "#/clip/%E0%A4%A", "#/clip/__proto__"])
def test_a_clip_that_is_not_there(small, open_page, hash_):
    """A link to a clip of another version says so, and leads on."""
    page = open_page(small[0], hash_)
    page.get_by_role("heading", name="No such clip").wait_for()
    page.get_by_role("link", name="All clips").click()
    assert len(ids(page)) == 24


def test_every_frame_is_shown_in_its_turn(small, open_page):
    """The strip plays: at each frame's time its own gray is seen, to the left and to the right."""
    page = open_page(small[0], f"#/clip/{small[1]['clips'].ids[3]}")
    strip = page.locator(".strip.large")
    for frame, level in enumerate(library.LEVELS):
        moment = f"(element) => {{ const [play] = element.getAnimations(); play.pause(); \
            play.currentTime = 140 * {frame} + 70; }}"
        strip.evaluate(moment)
        image = cv2.imdecode(np.frombuffer(strip.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
        middle = image[len(image) // 2]
        for part in (0.1, 0.5, 0.9):
            assert abs(int(middle[int(len(middle) * part)]) - level) < 12, (frame, part)


def animation(locator):
    return locator.evaluate("(element) => getComputedStyle(element).animationName")


def test_previews_move_when_pointed_at(small, open_page):
    """A tile's preview plays under the pointer and in focus, and rests otherwise."""
    page = open_page(small[0])
    tile = page.locator(".tile").nth(1)
    assert animation(tile.locator(".strip")) == "none"
    tile.hover()
    assert animation(tile.locator(".strip")) == "play"
    page.mouse.move(0, 0)
    assert animation(tile.locator(".strip")) == "none"
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert animation(page.locator(".tile").nth(0).locator(".strip")) == "play"


def test_nothing_moves_for_who_wants_stillness(small, open_page):
    """With reduced motion no preview starts by itself; a button plays the clip."""
    page = open_page(small[0], reduced_motion="reduce")
    page.locator(".tile").nth(1).hover()
    assert animation(page.locator(".tile").nth(1).locator(".strip")) == "none"
    page.locator(".tile").nth(1).click()
    assert animation(page.locator(".strip.large")) == "none"
    page.get_by_role("button", name="Play").click()
    assert animation(page.locator(".strip.large")) == "play"
    page.get_by_role("button", name="Pause").click()
    assert animation(page.locator(".strip.large")) == "none"


def test_keyboard_alone(small, open_page):
    """Search, grid, clip, neighbors and the way back, without a pointer; focus is kept."""
    path, parts = small
    clips = parts["clips"].ids
    page = open_page(path)
    focused = "document.activeElement.dataset.clip"
    page.keyboard.press("/")
    page.keyboard.type("v_")
    page.keyboard.press("ArrowDown")
    columns = page.evaluate(
        "() => { const cells = [...document.querySelectorAll('.cell')];"
        " return new Set(cells.map((cell) => cell.getBoundingClientRect().x)).size; }"
    )
    assert page.evaluate(focused) == "0"
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.evaluate(focused) == str(columns + 1)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("End")
    assert page.evaluate(focused) == "23"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=clips[1], exact=True).wait_for()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate(focused) is not None:
            break
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "3"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=clips[3], exact=True).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name=clips[1], exact=True).wait_for()
    page.keyboard.press("Escape")
    library.until(page, f"{focused} === '1'")
    assert page.get_by_label("Search clips").input_value() == "v_"


def test_tab_reaches_everything(small, open_page):
    """Tab goes from the skip link over pages and search into the grid, one stop for all tiles."""
    page = open_page(small[0])
    stops = []
    for _ in range(11):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "document.activeElement.ariaLabel || document.activeElement.dataset.clip"
                " || document.activeElement.textContent"
            )
        )
    expected = ["Skip to the content", "Clip gallery", "Clips", "Map", "Figures", "Card"]
    assert stops[:10] == [*expected, "Search clips", "Class", "Split", "0"]
    assert stops[10] not in {str(clip) for clip in range(1, 24)}


def test_ten_thousand_clips_in_few_nodes(large, open_page):
    """Wherever one scrolls to, only clips in sight are in the document, and they are the right."""
    path, parts = large
    page = open_page(path)
    assert page.locator(".count").inner_text() == "10,000 clips"
    height = page.evaluate("document.documentElement.scrollHeight")
    for share in (0, 0.31, 0.77, 1):
        page.evaluate(f"window.scrollTo(0, {share * height})")
        wanted = int(share * 9999)
        library.until(
            page,
            "[...document.querySelectorAll('.tile')]"
            f".some((tile) => Math.abs(tile.dataset.clip - {wanted}) < 20)",
        )
        assert page.locator(".tile").count() < 100
        assert page.evaluate("document.querySelectorAll('body *').length") < 1200
        shown = page.evaluate(
            "[...document.querySelectorAll('.tile')].map((t) => [t.dataset.clip, t.textContent, "
            "t.querySelector('.strip').style.backgroundImage.length])"
        )
        for clip, text, picture in shown:
            assert text.startswith(parts["clips"].ids[int(clip)])
            assert picture > 200
    last = page.locator(".tile").last
    last.click()
    page.get_by_role("heading", name=parts["clips"].ids[9999]).wait_for()
    page.keyboard.press("Escape")
    library.until(page, "document.activeElement.dataset.clip === '9999'")
    assert page.evaluate("window.scrollY") > 0.9 * height - 900


def test_focus_stays_while_one_scrolls_away(large, open_page):
    """A focused tile stays in the document, and arrows go on from it."""
    page = open_page(large[0])
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.evaluate("window.scrollTo(0, 100000)")
    library.until(page, "document.querySelectorAll('.tile')[5].dataset.clip > 1000")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.clip") == "1"
    assert page.evaluate("window.scrollY") < 1000


def test_clips_without_previews_are_told(open_page, tmp_path):
    """Where previews were left out, the page says how many clips have none."""
    parts = library.make()
    parts["previews"] = {name: library.strip() for name in parts["clips"].ids[:20]}
    library.gallery.write_gallery(tmp_path / "index.html", **parts)
    page = open_page(tmp_path / "index.html")
    assert page.locator(".note").inner_text().startswith("4 clips without a preview")
    assert page.locator(".strip-missing").count() == 4
