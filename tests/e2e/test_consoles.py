"""A person opens a guest's consoles in a real browser: sees its screen, types, and is told when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import missing
from tests.harness.clouds import Cloud
from tests.harness.waiting import until

CHROMIUM = Path("/usr/bin/chromium")
LOOK_MS = 60_000
KEY_MS = 100  # a keyboard holds a few keys for a guest that is slow to take them
PIXELS = """() => {
  const canvas = document.querySelector("canvas");
  const bytes = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Map();
  for (const pixel of new Uint32Array(bytes.buffer)) colours.set(pixel, (colours.get(pixel) ?? 0) + 1);
  return [...colours.values()].sort((one, other) => other - one);
}"""
"""How many pixels there are of each colour, the commonest first."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing("Chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Opens windows in which nothing goes wrong: no script fails, and nothing is stopped by the page's own policy."""
    said: list[str] = []

    def opened() -> Page:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    with browser.new_context() as context:
        yield opened
    assert said == []


@pytest.fixture
def server(cloud: Cloud) -> Iterator[dict[str, Any]]:
    """A server that waits for somebody to log in."""
    name = f"seen-{uuid4().hex[:6]}"
    created = cloud.openstack_json(
        "server", "create", "--wait", "--flavor", "pileus.nano", "--image", "pileus-guest", "--nic", "none", name
    )
    compute = cloud.sdk().compute
    until(
        lambda: "login:" in compute.get_server_console_output(created["id"])["output"],
        within_s=240,
        every_s=0.5,
        what="the login prompt",
    )
    yield created
    cloud.openstack("server", "delete", "--wait", name, check=False)


def address(cloud: Cloud, kind: str, server: str) -> str:
    return cloud.openstack("console", "url", "show", kind, server, "-f", "value", "-c", "url").strip()


def connected(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#state")).to_have_attribute("data-state", "connected", timeout=LOOK_MS)
    assert "token" not in page.url


def test_a_guest_is_seen_typed_to_and_gone(
    cloud: Cloud, server: dict[str, Any], window: Callable[[], Page], browser: Browser
) -> None:
    name, page = server["name"], window()
    screen = address(cloud, "--novnc", name)
    connected(page, screen)
    expect(page.locator("h1")).to_have_text(name)
    # a login prompt, and what the firmware said before
    until(lambda: len(shown := page.evaluate(PIXELS)) > 1 and shown[1] > 1000, what="letters on the screen")
    letters = page.evaluate(PIXELS)[1]
    page.keyboard.type("some", delay=KEY_MS)
    until(lambda: page.evaluate(PIXELS)[1] > letters + 50, what="half a name on the screen")

    spice = window()
    connected(spice, address(cloud, "--spice", name))
    until(lambda: spice.evaluate(PIXELS)[1] > letters, what="the same screen by SPICE")
    letters = spice.evaluate(PIXELS)[1]
    spice.keyboard.type("body", delay=KEY_MS)
    until(lambda: spice.evaluate(PIXELS)[1] > letters + 50, what="the other half")

    line = window()
    connected(line, address(cloud, "--serial", name))
    shown = line.locator("#console")
    expect(shown).to_contain_text("login:", timeout=LOOK_MS)
    line.keyboard.type("root\n")
    expect(shown).to_contain_text("Password:", timeout=LOOK_MS)
    line.keyboard.type(f"{server['adminPass']}\n")
    expect(shown).to_contain_text("#", timeout=LOOK_MS)
    line.keyboard.type("cat /dev/vcs1 | tr -s ' '\n")  # what the guest itself has on its screen
    expect(shown).to_contain_text("login: somebody", timeout=LOOK_MS)

    again = browser.new_page()
    again.goto(screen)
    expect(again.locator("#state")).to_contain_text("not good any more", timeout=LOOK_MS)

    cloud.openstack("server", "delete", "--wait", name)
    for one in (page, spice, line):
        expect(one.locator("#state")).to_have_attribute("data-state", "ended", timeout=LOOK_MS)
    expect(page.get_by_role("button", name="Ctrl + Alt + Del")).to_be_disabled()
