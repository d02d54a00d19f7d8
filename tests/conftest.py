"A browser for the tests of pictures and of the site"
import shutil

import pytest


@pytest.fixture(scope='session')
def browser():
    "A browser of this machine; the tests that need one say so if there is none"
    playwright = pytest.importorskip('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if not path: pytest.skip('no Chromium on this machine (on Debian: apt-get install chromium)')
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
        yield browser
        browser.close()


def differs(tab, selector):
    "Do two pictures, half a second apart, differ?"
    first = tab.locator(selector).first.screenshot()
    tab.wait_for_timeout(500)
    return first != tab.locator(selector).first.screenshot()
