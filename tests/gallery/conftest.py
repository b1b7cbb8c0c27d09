"""A headless Chromium that holds every page to its word: no error, no request, no dialog."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gallery import library


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    # Chromium's sandbox does not start for root, as whom containers run.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file, with options of a browser's context; what it did is judged in the end."""
    contexts, faults = [], []

    def open_(path: Path, hash_: str = "", **options: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1200, "height": 800}} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        own = path.as_uri()

        def requested(request: Any) -> None:
            if request.url.split("#")[0] != own and not request.url.startswith("data:"):
                faults.append(f"request: {request.url[:100]}")

        page.on("request", requested)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.goto(own + hash_)
        page.faults = faults
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return library.write(tmp_path_factory.mktemp("gallery"), "small")


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return library.write(tmp_path_factory.mktemp("gallery"), "odd", names=library.ODD_NAMES)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    names = tuple(f"Class{i:03d}" for i in range(101))
    folder = tmp_path_factory.mktemp("gallery")
    return library.write(folder, "large", count=10_000, names=names, k=10)
