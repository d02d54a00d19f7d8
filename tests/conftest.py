"A browser for the tests of pictures and of the site"
import importlib
import os
import shutil

import pytest


def missing(what):
    "What a test needs is not on this machine: a reason to skip, but a failure among all checks (.ci/run)"
    if os.environ.get('ELM_NB_CI'): pytest.fail(f'{what}; with ELM_NB_CI set nothing may be skipped for that')
    pytest.skip(what)

def needed(module):
    "A module that only these tests need"
    try: return importlib.import_module(module)
    except ImportError as error: missing(f"{error} (pip install 'elm_nb[dev]')")

@pytest.fixture(scope='session')
def browser():
    "A browser of this machine; the tests that need one say so if there is none"
    playwright = needed('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if not path: missing('no Chromium on this machine (on Debian: apt-get install chromium)')
    options = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def differs(tab, selector):
    "Do two pictures, half a second apart, differ?"
    first = tab.locator(selector).first.screenshot()
    tab.wait_for_timeout(500)
    return first != tab.locator(selector).first.screenshot()
