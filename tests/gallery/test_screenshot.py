"""The picture of the gallery in docs/, drawn from a published version."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

PICTURE = Path(__file__).parents[2] / "docs" / "gallery.png"
PAGE = os.environ.get("GALLERY_SCREENSHOT", "")
SIZE = {"width": 1080, "height": 700}


def point_at_a_mark(page):
    """Moves the pointer over the map, from the left to the right, until it meets a clip."""
    box = page.locator(".map-frame canvas").bounding_box()
    for x in range(0, int(box["width"]), 12):
        page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
        if page.locator(".tooltip").is_visible():
            return


@pytest.mark.skipif(not PAGE, reason="GALLERY_SCREENSHOT names no gallery of the sample library")
def test_screenshot(open_page):
    """Four pages, in both schemes, are drawn to docs/gallery.png."""
    shots = []
    for view, scheme in (
        ("clips?q=g03", "light"),
        ("clip/v_RotateCounterclockwise_g03_c01", "dark"),
        ("map", "dark"),
        ("figures", "light"),
    ):
        page = open_page(
            Path(PAGE), f"#/{view}", color_scheme=scheme, reduced_motion="reduce", viewport=SIZE
        )
        if view == "map":
            point_at_a_mark(page)
        page.wait_for_timeout(300)  # pictures are decoded
        shots.append(cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR))
    border = (10, 10, 10, 10, cv2.BORDER_CONSTANT)
    framed = [cv2.copyMakeBorder(shot, *border, value=(150, 150, 150)) for shot in shots]
    picture = np.vstack([np.hstack(framed[:2]), np.hstack(framed[2:])])
    assert picture.std() > 20
    assert cv2.imwrite(str(PICTURE), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
