"""The page in a real browser, with the network off: it draws, it turns, its links lead somewhere, nothing sticks out.

Needs Playwright (`pip install playwright`) and a Chromium (Debian: `apt-get install chromium`); skipped without.
"""

import shutil

import pytest

from gmd26_md.page.sources import gather
from gmd26_md.page.write import made, write
from gmd26_md.report.repeat import model_at_hand
from tests.page.page_records import folder_of, run_of
from tests.page.test_example import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

OPTIONS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",  # 3D without a graphics card
]  # fmt: skip
READY = "document.documentElement.dataset.ready === '1'"
WAIT_MS = 60_000  # a busy machine of two cores draws slowly


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(run_folders, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write(made(gather(run_folders), model_at_hand), path)
    return path


def opened(browser, path, width):
    """Return the page, all drawn, and what went wrong while it was."""
    tab = browser.new_context(offline=True, viewport={"width": width, "height": 900}).new_page()
    wrong = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
    tab.goto(path.as_uri())
    tab.wait_for_function(READY, timeout=WAIT_MS)
    return tab, wrong


def test_figures_draw_links_lead_and_the_molecule_turns_without_a_network(browser, page_file, tmp_path):
    tab, wrong = opened(browser, page_file, 1280)
    n_figures = tab.locator(".figures .plot").count()
    assert n_figures >= 5
    assert tab.locator(".figures .plot .main-svg").count() >= n_figures

    tab.locator("table.numbers a[data-metric=path]").first.click()
    cell = "#matrix-0 tr[data-split] td"
    tab.wait_for_function(f"[...document.querySelectorAll('{cell}')].some((c) => c.textContent.includes('0.06'))")

    tab.locator("#matrix-0 a", has_text="ethanedioic acid").click()
    section = tab.locator("details.molecule[open]")
    section.locator(".turn canvas").first.wait_for(timeout=WAIT_MS)
    assert section.locator("summary b").first.inner_text() == "ethanedioic acid"
    assert "broken" in section.locator("select.frame").inner_text()
    assert section.locator(".plot .main-svg").count() >= 1
    tab.wait_for_function(
        "document.querySelector('details[open] img.printed').src.startsWith('data:')", timeout=WAIT_MS
    )

    scene = section.locator(".turn").bounding_box()
    camera = "document.querySelector('details[open] .turn').layout.scene.camera.eye.x"
    before = tab.evaluate(camera)
    tab.mouse.move(scene["x"] + 120, scene["y"] + 150)
    tab.mouse.down()
    tab.mouse.move(scene["x"] + 260, scene["y"] + 210, steps=5)
    tab.mouse.up()
    tab.wait_for_function(f"{camera} !== {before}", timeout=WAIT_MS)  # it was turned

    tab.screenshot(path=tmp_path / "laptop.png")
    assert (tmp_path / "laptop.png").stat().st_size > 10_000
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_of_the_page(browser, page_file, tmp_path, width):
    tab, wrong = opened(browser, page_file, width)
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    tab.locator("details.molecule .plot .main-svg").first.wait_for(timeout=WAIT_MS)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.screenshot(path=tmp_path / f"{width}.png", full_page=True)
    assert wrong == []


@pytest.mark.parametrize(
    ("page", "n_figures", "broken"),
    [("duplication", 12, "hexanedioic acid"), ("combination", 11, "tridecanedioic acid")],  # one has no scans
)
def test_an_example_draws_its_figures_and_a_molecule_of_broken_bonds(browser, page, n_figures, broken):
    tab, wrong = opened(browser, EXAMPLES / f"{page}.html", 1280)
    assert tab.locator(".figures .plot .main-svg").count() >= tab.locator(".figures .plot").count() >= n_figures
    tab.locator("#matrix-0 a", has_text=broken).first.click()
    section = tab.locator("details.molecule[open]")
    section.locator(".turn canvas").first.wait_for(timeout=WAIT_MS)
    assert section.locator("svg.structure .cross, svg.structure .hit").count() >= 1
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


def test_markup_in_names_does_nothing(browser, tmp_path):
    nasty = "<img src=x onerror=alert(1)></script><script>alert(2)</script><b>bold</b>"
    record = run_of("ethanedioic acid", "silent", model=nasty)
    named = type(record)(**{**vars(record), "molecule": nasty, "reason": nasty, "family": nasty, "split": "ood"})
    path = tmp_path / "nasty.html"
    write(made(gather([folder_of(tmp_path / "run", [named])]), model_at_hand), path, title=nasty)
    tab, wrong = opened(browser, path, 1280)
    tab.locator("details.molecule > summary").click()
    tab.locator("details.molecule .plot .main-svg").first.wait_for(timeout=WAIT_MS)
    assert tab.locator("main b:text-is('bold')").count() == 0
    assert wrong == []


def test_a_print_has_every_section_open_and_no_controls(browser, page_file, tmp_path):
    tab, wrong = opened(browser, page_file, 900)
    tab.pdf(path=tmp_path / "print.pdf", format="A4")
    assert tab.locator("details.molecule:not([open])").count() == 0
    tab.emulate_media(media="print")
    assert not tab.locator("select.metric").is_visible()
    assert not tab.locator("nav").is_visible()
    assert wrong == []
