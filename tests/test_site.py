"The site as a reader gets it: every page, its links and pictures, and what moves when it is clicked"
import functools, re, subprocess, sys, threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from conftest import differs

ROOT = Path(__file__).parent.parent
PAGES = sorted(re.sub(r'^\d+[a-z]?_', '', f.stem) for f in (ROOT/'nbs').glob('*.ipynb'))


@pytest.fixture(scope='module')
def site():
    "The folder with the pages, made anew"
    done = subprocess.run([sys.executable, ROOT/'.ci/render.py'], capture_output=True, text=True)
    if 'could not be had from npm' in done.stderr: pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT/'_docs'

@pytest.fixture(scope='module')
def soups(site):
    bs4 = pytest.importorskip('bs4')
    return {page.stem: bs4.BeautifulSoup(page.read_text(), 'html.parser') for page in site.glob('*.html')}

def test_there_is_a_page_for_every_notebook(soups):
    assert sorted(soups) == PAGES
    in_sidebar = {Path(urlsplit(a['href']).path).stem for a in soups['index'].select('#quarto-sidebar a[href], .sidebar a[href]') if a['href'].endswith('.html')}
    assert in_sidebar >= set(PAGES)

def test_no_internal_link_is_broken(site, soups):
    broken = []
    for name,soup in soups.items():
        for link in soup.select('a[href], img[src], script[src], link[href]'):
            to = urlsplit(link.get('href') or link.get('src'))
            if to.scheme or to.netloc: continue
            target = site/unquote(to.path) if to.path else site/f'{name}.html'
            if target.is_dir(): target = target/'index.html'
            if not target.exists(): broken.append((name, link))
            elif to.fragment and target.suffix == '.html' and not soups[target.stem].find(id=unquote(to.fragment)): broken.append((name, link))
    assert not broken

def test_all_that_a_page_needs_lies_beside_it(site, soups):
    elsewhere = [(name, tag) for name,soup in soups.items() for tag in soup.select('script[src], link[rel=stylesheet], img[src], iframe[src]')
        if urlsplit(tag.get('src') or tag.get('href')).scheme in ('http', 'https')]
    assert not elsewhere
    assert not [f for f in site.rglob('*.css') if re.search(r'url\(["\']?(https?:)?//|@import', f.read_text())]

def test_pictures_have_alternative_texts(soups):
    def about(image): return image.get('alt') or image.get('aria-label') or '' # a canvas gets its text by the script that draws on it
    dumb = [(name, str(image)[:80]) for name,soup in soups.items() for image in soup.select('main img, main svg[role=img]') if not about(image).strip()]
    assert not dumb

def test_api_tables_tell_what_the_source_tells(soups):
    heading = soups['simulator'].find(id='simulate')
    table = heading.find_next('table')
    rows = {tr.find('td').get_text(): [td.get_text() for td in tr.find_all('td')] for tr in table.select('tbody tr')}
    assert rows['backend'][1:3] == ['str', "'pymunk'"] and 'needs the extra' in rows['backend'][3]
    assert table.select_one('a[href*="walker.html#walker"]') and rows['returns'][1] == 'Rollout'
    assert 'walker' in soups['show'].find(id='draw').find_next('table').get_text() # another module has a function of that name
    assert 'Index of the first joint' in soups['walker'].find(id='muscle').find_next('table').get_text() # fields are documented, too
    link = heading.find_previous('a', string='source')['href']
    line = int(link.split('#L')[1])
    assert 'elm_nb/simulator.py' in link and (ROOT/'elm_nb/simulator.py').read_text().split('\n')[line-1].startswith('def simulate(')
    everywhere = [a['href'] for soup in soups.values() for a in soup.find_all('a', string='source')]
    assert len(everywhere) > 200 and all(re.search(r'#L\d+$', a) for a in everywhere)


@pytest.fixture(scope='module')
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()

@pytest.fixture
def visit(browser, address):
    "Open a page; neither errors nor requests to anywhere else are allowed"
    troubles, tabs = [], []
    def visit(page, width=1400, scheme='light'):
        tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
        tabs.append(tab)
        tab.on('pageerror', lambda e: troubles.append((page, str(e))))
        tab.on('console', lambda m: troubles.append((page, m.text)) if m.type in ('error', 'warning') else None)
        tab.on('request', lambda r: troubles.append((page, r.url)) if not r.url.startswith((address, 'data:', 'blob:')) else None)
        tab.goto(f'{address}/{page}.html')
        return tab
    yield visit
    for tab in tabs: tab.close()
    assert not troubles

@pytest.mark.parametrize('page', PAGES)
def test_a_page_can_be_read_everywhere(visit, page):
    for scheme in ('light', 'dark'):
        tab = visit(page, 390, scheme)
        assert tab.evaluate('document.documentElement.scrollWidth') <= 390
        dark = sum(map(int, re.findall(r'\d+', tab.evaluate('getComputedStyle(document.body).backgroundColor'))[:3])) < 3*128
        light_text = sum(map(int, re.findall(r'\d+', tab.evaluate('getComputedStyle(document.querySelector("main p")).color'))[:3])) > 3*128
        assert dark == light_text == (scheme == 'dark')
        tab.set_viewport_size({'width': 1400, 'height': 900})
        assert tab.evaluate('document.documentElement.scrollWidth') <= 1400
        tab.close()

def test_search_finds_a_page(visit):
    tab = visit('index')
    tab.locator('input[type=search], #quarto-search input, .aa-Input, input[placeholder*=Search]').first.click()
    tab.keyboard.type('untrusted', delay=20)
    tab.wait_for_selector('a[href*="sandbox.html"]:visible >> nth=0')

def test_walkers_move(visit):
    assert differs(visit('index'), 'main img')
    assert differs(visit('live'), '.elm-live canvas')

def test_a_click_on_the_map_plays_that_champion(visit):
    tab = visit('show')
    root = tab.locator('.elm-map').first
    program, cells = root.locator('pre').inner_text(), root.locator('.cells button:enabled')
    others = [i for i in range(cells.count()) if cells.nth(i).get_attribute('aria-pressed') is None]
    cells.nth(others[0]).click()
    assert root.locator('pre').inner_text() != program and 'def make_walker' in root.locator('pre').inner_text()
    assert differs(tab, '.elm-map canvas')

def test_a_walker_can_be_changed(visit):
    tab = visit('live')
    root = tab.locator('.elm-live')
    told, program = root.locator('.told'), lambda: root.locator('pre').text_content()
    root.locator('[name=terrain]').select_option('bumpy')
    tab.wait_for_timeout(800)
    assert re.fullmatch(r'\d\.\d s: -?\d+\.\d units', told.inner_text()) and float(told.inner_text().split()[0]) > 0.3
    root.locator('[name=build]').click()
    before = program()
    root.locator('[name=amplitude]').fill('-7.5')
    assert ', False, -7.5,' in program() and program() != before
    box, seen = root.locator('canvas').bounding_box(), program()
    joints = [tuple(map(float, m)) for m in re.findall(r'add_joint\((.*), (.*)\)', seen)]
    middle = (min(x for x,_ in joints) + max(x for x,_ in joints))/2
    width = max(1.6*(max(x for x,_ in joints) - min(x for x,_ in joints)), 3.2*(max(y for _,y in joints) - min(y for _,y in joints)), 16)
    scale, foot = box['width']/width, min(y for _,y in joints)
    x, y = joints[0]
    tab.mouse.move(box['x'] + box['width']/2 + (x - middle)*scale, box['y'] + 0.82*box['height'] - (y - foot)*scale)
    tab.mouse.down()
    tab.mouse.move(box['x'] + box['width']/2 + (x + 2 - middle)*scale, box['y'] + 0.82*box['height'] - (y + 1 - foot)*scale, steps=4)
    tab.mouse.up()
    moved = [tuple(map(float, m)) for m in re.findall(r'add_joint\((.*), (.*)\)', program())]
    assert moved[0] == pytest.approx((x + 2, y + 1), abs=0.1) and moved[1:] == joints[1:]
    root.locator('[name=again]').click()
    assert program() == before
    root.locator('[name=build]').click()
    tab.wait_for_timeout(600)
    assert differs(tab, '.elm-live canvas')
