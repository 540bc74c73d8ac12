"""`cockpit serve web`: nothing without the link, nothing for another page, and the app in Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from pathlib import Path

import aiohttp
import pytest
from served import Served

CHROMIUM = next(
    (found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), ""
)
SECRET = re.compile(r"http://127\.0\.0\.1:(\d+)/\?key=(\S+)")


async def open_page(served: Served, *words: str) -> tuple[str, str]:
    """Serve the page; its address and its secret."""
    await served.start("web", *words, ready="/?key=")
    found = SECRET.search("".join(served.said))
    assert found
    return f"http://127.0.0.1:{found[1]}", found[2]


async def test_nothing_is_shown_without_the_link_or_to_another_page(served: Served) -> None:
    address, secret = await open_page(served)
    own = address.removeprefix("http://")
    link = f"/?key={secret}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def get(path: str, **headers: str) -> int:
            async with http.get(address + path, headers=headers, allow_redirects=False) as answer:
                return answer.status

        cookie = {"Cookie": f"cockpit={secret}"}
        for path in ("/", "/ws", "/static/js/textual.js", "/download/x", "/?key=", "/?key=guess"):
            assert await get(path) == 403
        assert await get("/", **cookie) == 200
        assert await get(link) == 302
        assert await get("/static/js/textual.js", **cookie) == 200
        # A page of another name that leads here, and a page of another place.
        assert await get(link, Host="evil.example") == 403
        assert await get("/", Host="evil.example", **cookie) == 403
        assert await get("/", Origin="https://evil.example", **cookie) == 403
        assert await get("/", Origin=address, **cookie) == 200
        # A tunnel from another port of another machine's loopback.
        assert await get("/", Host="localhost:9999", **cookie) == 200
        for headers in (
            {},
            {"Cookie": "cockpit=guess"},
            {**cookie, "Origin": "https://evil.example"},
            {**cookie, "Host": "evil.example"},
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await http.ws_connect(f"ws://{own}/ws", headers=headers)
            assert refusal.value.status == 403
        async with http.get(address, headers=cookie) as answer:
            page = await answer.text()
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert secret not in page
    assert served.programs() == []


async def test_a_page_runs_the_app_and_leaves_nothing_behind(served: Served) -> None:
    address, secret = await open_page(served, "--role", "viewer")
    cookie = {"Cookie": f"cockpit={secret}"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        socket = await http.ws_connect(f"{address}/ws?width=120&height=40", headers=cookie)
        await _until(socket, b"SIMULATED", b"VIEWER")
        assert len(served.programs()) == 1
        await socket.send_str(json.dumps(["stdin", "L"]))
        await _until(socket, b"you are here as viewer")
        await socket.send_str(json.dumps(["resize", {"width": 80, "height": 24}]))
        await _until(socket, b"state", b"MHz")
        await socket.close()
        await served.until_programs(0)
        for nonsense in ("nothing", "[]", '["resize"]', '["resize", {"width": "x"}]', '{"a": 1}'):
            socket = await http.ws_connect(f"{address}/ws?width=x", headers=cookie)
            await _until(socket, b"SIMULATED")
            await socket.send_str(nonsense)
            await asyncio.wait_for(_ended(socket), 20)
            await served.until_programs(0)
        socket = await http.ws_connect(f"{address}/ws", headers=cookie)
        await _until(socket, b"SIMULATED")
        await socket.send_str(json.dumps(["stdin", "q"]))
        await asyncio.wait_for(_ended(socket), 20)
    await served.until_programs(0)


async def test_there_are_only_so_many_pages_and_the_end_of_the_server_ends_them(
    served: Served,
) -> None:
    address, secret = await open_page(served, "--sessions", "1")
    cookie = {"Cookie": f"cockpit={secret}"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        socket = await http.ws_connect(f"{address}/ws", headers=cookie)
        await _until(socket, b"SIMULATED", b"OPERATOR")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(f"{address}/ws", headers=cookie)
        assert refusal.value.status == 503
        [pid] = served.programs()
        assert await served.stop() == 0
        assert not Path(f"/proc/{pid}").exists()


async def _until(socket: aiohttp.ClientWebSocketResponse, *texts: bytes) -> None:
    seen = b""
    deadline = time.monotonic() + 60
    while not all(text in seen for text in texts):
        message = await asyncio.wait_for(socket.receive(), deadline - time.monotonic())
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
        seen += message.data if isinstance(message.data, bytes) else message.data.encode()


async def _ended(socket: aiohttp.ClientWebSocketResponse) -> None:
    while not socket.closed:
        await socket.receive()


@pytest.mark.heavy
async def test_the_page_in_a_real_chromium_is_clicked_resized_and_seen(
    served: Served, tmp_path: Path
) -> None:
    playwright = _playwright()
    address, secret = await open_page(served)
    outside: list[str] = []
    async with playwright() as kit:
        browser = await kit.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("request", lambda request: outside.append(request.url))
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{address}/?key={secret}")
        assert page.url == f"{address}/"
        await page.wait_for_selector("body.-first-byte", timeout=60_000)
        wall = await _settled(page, tmp_path / "wall.png")
        # The first card, twice: chosen, then opened.
        await page.mouse.dblclick(200, 60)
        gpu = await _settled(page, tmp_path / "gpu.png", unlike=wall)
        await page.keyboard.press("Escape")
        await _settled(page, tmp_path / "back.png", unlike=gpu)
        await page.set_viewport_size({"width": 800, "height": 600})
        narrow = await _settled(page, tmp_path / "narrow.png", unlike=wall)
        await page.keyboard.press("?")
        await _settled(page, tmp_path / "help.png", unlike=narrow)
        await browser.close()
    assert errors == []
    # textual-serve's page names a font of Google's; it is not fetched.
    elsewhere = [url for url in outside if not url.startswith((address, "ws://", "data:"))]
    assert all("fonts.googleapis.com" in url for url in elsewhere)
    for name in ("wall", "gpu", "narrow", "help"):
        _assert_drawn(tmp_path / f"{name}.png")
    await served.until_programs(0)


def _playwright():  # type: ignore[no-untyped-def]
    needed = os.environ.get("COCKPIT_REQUIRE_HEAVY")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        assert not needed, "playwright is not installed"
        pytest.skip("playwright is not installed")
    if not CHROMIUM:
        assert not needed, "there is no Chromium"
        pytest.skip("there is no Chromium")
    return async_playwright


async def _settled(page, path: Path, unlike: bytes = b"") -> bytes:  # type: ignore[no-untyped-def]
    """A picture that shows something else than `unlike`, clocks and readings aside."""
    from PIL import Image, ImageChops

    for _ in range(60):
        await asyncio.sleep(0.5)
        picture = await page.screenshot(path=str(path))
        if not unlike:
            if len(_colours(Image.open(path))) > 30:
                return bytes(picture)
            continue
        before = path.with_suffix(".before.png")
        before.write_bytes(unlike)
        new, old = Image.open(path).convert("RGB"), Image.open(before).convert("RGB")
        if new.size != old.size:
            return bytes(picture)
        changed = ImageChops.difference(new, old).convert("L").histogram()
        if sum(changed[16:]) > 0.02 * new.size[0] * new.size[1]:
            return bytes(picture)
    raise AssertionError(f"{path.name} never showed anything new")


def _colours(picture):  # type: ignore[no-untyped-def]
    return picture.convert("RGB").getcolors(1 << 24)


def _assert_drawn(path: Path) -> None:
    """Many colours all over the picture, not a blank page with a word on it."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    for top in (0, height // 3):
        part = picture.crop((0, top, width, top + height // 3))
        assert len(_colours(part)) > 20, path.name
