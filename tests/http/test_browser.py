"""The page in a real browser: hostile names stay text, nothing runs, nothing overflows, every word can be read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from queue_metrics.http.server import BackgroundServer, bound
from queue_metrics.insights.wording import name as readable
from tests.http.asking import app_of, hostile_fleet
from tests.support.fleet import HOSTILE

CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def hostile_url() -> Iterator[str]:
    with BackgroundServer(app_of(hostile_fleet()), bound("127.0.0.1", 0)) as server:
        yield server.url


class Opened:
    """A page, and everything that it said or asked for."""

    def __init__(self, browser: Browser, url: str, *, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light")
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dismissed)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def _dismissed(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (360, "dark")])
def test_hostile_names_stay_text_in_a_real_browser(browser: Browser, hostile_url: str, width: int, scheme: str) -> None:
    opened = Opened(browser, f"{hostile_url}?refresh=0", width=width, scheme=scheme)
    page = opened.page
    assert opened.said == []
    assert {url.removeprefix(hostile_url) for url in opened.asked} <= {"?refresh=0", "style.css", "icon.svg"}
    assert page.evaluate("document.querySelectorAll('script, img, iframe, object, embed, form, style, base').length") == 0
    attributes = page.evaluate("[...document.querySelectorAll('*')].flatMap(e => [...e.attributes].map(a => [a.name, a.value]))")
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert {value.partition(":")[0] for name, value in attributes if name in ("href", "src") and ":" in value} == set()
    assert page.title() == "Critical · queue-metrics"
    texts = page.evaluate("[...document.querySelectorAll('#tasks tbody th > bdi')].map(e => e.textContent)")
    assert {readable(name, 160) for name in HOSTILE} <= set(texts)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.context.close()


@pytest.mark.parametrize("width", [1440, 1280, 1241, 1240, 1024, 1023, 768, 360])
def test_every_column_is_in_sight_and_no_count_is_broken_over_lines(browser: Browser, hostile_url: str, width: int) -> None:
    opened = Opened(browser, f"{hostile_url}?refresh=0", width=width, scheme="light")
    wider = opened.page.evaluate("[...document.querySelectorAll('.scroll')].map(e => [e.parentElement.id, e.scrollWidth - e.clientWidth])")
    assert wider == [["queues", 0], ["tasks", 0], ["workers", 0]]
    heights = opened.page.evaluate(
        "[...document.querySelectorAll('#tasks td.strong small')].map(e => e.clientHeight / parseFloat(getComputedStyle(e).lineHeight))"
    )
    assert len(heights) > 3
    assert max(heights) < 1.5
    opened.context.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_the_interface_to_read_fits_every_screen(browser: Browser, hostile_url: str, width: int) -> None:
    opened = Opened(browser, f"{hostile_url}docs", width=width, scheme="light")
    assert opened.said == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert "`" not in opened.page.inner_text("main")
    opened.context.close()


def test_the_page_says_what_is_wrong_first(browser: Browser, hostile_url: str) -> None:
    opened = Opened(browser, hostile_url, width=1000, scheme="light")
    first = opened.page.locator("main > section").first
    assert first.locator("h1").text_content() == "Critical"
    assert "Records were dropped, so the numbers are too low: <b>full</b> 7." in (first.text_content() or "")
    assert opened.page.locator("meta[http-equiv=refresh]").get_attribute("content") == "5"
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
def test_every_text_has_the_contrast_of_wcag_aa(browser: Browser, hostile_url: str, width: int, scheme: str) -> None:
    """As computed by the browser, against the nearest background that is not transparent."""
    opened = Opened(browser, f"{hostile_url}?refresh=0", width=width, scheme=scheme)
    worst = opened.page.evaluate(
        """() => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const rgb = (...layers) => {
                canvas.clearRect(0, 0, 1, 1);
                for (const colour of layers) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
                return canvas.getImageData(0, 0, 1, 1).data;
            };
            const light = data => {
                const [r, g, b] = [...data].slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const grounds = element => {
                const layers = [];
                for (let each = element; each; each = each.parentElement) layers.unshift(getComputedStyle(each).backgroundColor);
                return layers;
            };
            let worst = [99, ''];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const element = walker.currentNode.parentElement;
                if (!walker.currentNode.textContent.trim() || element.closest('svg, .hidden, .skip')) continue;
                const layers = grounds(element), style = getComputedStyle(element);
                const back = light(rgb(...layers)), ink = light(rgb(...layers, style.color));
                const ratio = (Math.max(back, ink) + 0.05) / (Math.min(back, ink) + 0.05);
                if (ratio < worst[0]) worst = [ratio, element.outerHTML.slice(0, 200)];
            }
            return worst;
        }"""
    )
    assert worst[0] >= 4.5, worst
    opened.context.close()
