"The site as a reader gets it: every page, its links and pictures, and what moves when it is clicked"
import functools, inspect, json, os, posixpath, re, subprocess, sys, textwrap, threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from conftest import differs, missing, needed

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {f.relative_to(ROOT/'nbs') for f in (ROOT/'nbs').rglob('[!.]*.ipynb')}
SITE = 'https://elm-nb.github.io/elm_nb'

def page_of(notebook):
    "Of sodarace/00_walker.ipynb it is sodarace/walker"
    return re.sub(r'\b\d+_', '', notebook.with_suffix('').as_posix())

PAGES = sorted(map(page_of, NOTEBOOKS))


@pytest.fixture(scope='module')
def site():
    "The folder with the pages: made anew, or the one that ELM_NB_SITE names, which is then to be published"
    if made := os.environ.get('ELM_NB_SITE'): return Path(made).resolve()
    done = subprocess.run([sys.executable, ROOT/'.ci/render.py'], capture_output=True, text=True)
    if 'could not be had from npm' in done.stderr: missing(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT/'_docs'

@pytest.fixture(scope='module')
def soups(site):
    bs4 = needed('bs4')
    pages = {page.relative_to(site).with_suffix('').as_posix(): page for page in site.rglob('*.html')}
    return {name: bs4.BeautifulSoup(page.read_text(), 'html.parser') for name,page in pages.items()}

def aim(name, link):
    "The file, as a path from the root of the site, at which a link aims, and the place in it; or None"
    to = urlsplit(link.get('href') or link.get('src'))
    if to.scheme or to.netloc: return None
    folder, path = posixpath.dirname(name), unquote(to.path)
    return posixpath.normpath(posixpath.join(folder, path)) if path else f'{name}.html', unquote(to.fragment)

def test_there_is_a_page_for_every_notebook(soups):
    assert sorted(soups) == PAGES
    for name in 'index', 'sodarace/walker': # at the top, and in a folder
        links = soups[name].select('#quarto-sidebar a[href], .sidebar a[href]')
        in_sidebar = {aim(name, a)[0].removesuffix('.html') for a in links if a['href'].endswith('.html')}
        assert in_sidebar >= set(PAGES)

def test_no_internal_link_is_broken(site, soups):
    broken = []
    for name,soup in soups.items():
        for link in soup.select('a[href], img[src], script[src], link[href]'):
            if (aimed := aim(name, link)) is None: continue
            target, place = aimed
            if (site/target).is_dir(): target = posixpath.normpath(f'{target}/index.html')
            there = not target.startswith('..') and (site/target).exists()
            page = soups.get(target.removesuffix('.html'))
            if not there or place and page and not page.find(id=place): broken.append((name, link))
    assert not broken

def test_links_to_notebooks_lead_to_them(soups):
    for name,soup in soups.items():
        found = [a['href'] for a in soup.select('.page-head a[href]')]
        of = {Path(href.split('/blob/main/nbs/')[1]) for href in found}
        assert len(found) == 2 and len(of) == 1 and of <= NOTEBOOKS
        assert page_of(of.pop()) == name

def test_all_that_a_page_needs_lies_beside_it(site, soups):
    needs = 'script[src], link[rel=stylesheet], img[src], iframe[src]'
    tags = [(name, tag) for name,soup in soups.items() for tag in soup.select(needs)]
    assert not [(name, tag) for name,tag in tags if (tag.get('src') or tag.get('href')).startswith('http')]
    elsewhere = re.compile(r'url\(["\']?(https?:)?//|@import')
    assert not [style for style in site.rglob('*.css') if elsewhere.search(style.read_text())]
    assert not [a for soup in soups.values() for a in soup.select('a[href]') if a['href'].startswith(SITE)]
    katex = [aim(name, tag)[0] for name,tag in tags if 'katex' in (tag.get('src') or tag.get('href'))]
    assert katex and all(path.startswith('site_libs/katex/') for path in katex)

def test_pictures_have_alternative_texts(soups):
    # a canvas gets its text by the script that draws on it
    def is_dumb(image): return not (image.get('alt') or image.get('aria-label') or '').strip()
    pictures = 'main img, main svg[role=img]'
    images = [(name, image) for name,soup in soups.items() for image in soup.select(pictures)]
    assert not [(name, str(image)[:80]) for name,image in images if is_dumb(image)]

def documented(soup, name):
    "The table below the heading of a function or class"
    return soup.find(id=name).find_next('table')

def test_api_tables_tell_what_the_source_tells(soups):
    table = documented(soups['sodarace/simulator'], 'simulate')
    cells = [[td.get_text() for td in tr.find_all('td')] for tr in table.select('tbody tr')]
    rows = {row[0]: row for row in cells}
    assert rows['backend'][1:3] == ['str', 'BACKEND'] and 'needs the extra' in rows['backend'][3]
    assert table.select_one('a[href*="walker.html#walker"]') and rows['returns'][1] == 'Rollout'
    assert 'Index of the first joint' in documented(soups['sodarace/walker'], 'muscle').get_text() # a field
    # of a function whose name another module has, too
    assert 'walker' in documented(soups['sodarace/show'], 'draw').get_text()

def test_api_tables_link_to_the_line_of_the_source(soups):
    link = soups['sodarace/simulator'].find(id='simulate').find_previous('a', string='source')['href']
    path, line = re.search(r'/blob/main/(.+)#L(\d+)$', link).groups()
    assert path == 'elm_nb/sodarace/simulator.py'
    assert (ROOT/path).read_text().split('\n')[int(line)-1].startswith('def simulate(')
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
    def heard(page):
        def listen(m):
            if m.type in ('error', 'warning'): troubles.append((page, m.text))
        return listen
    def asked(page):
        def listen(r):
            if not r.url.startswith((address, 'data:', 'blob:')): troubles.append((page, r.url))
        return listen
    def visit(page, width=1400, scheme='light'):
        tab = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
        tabs.append(tab)
        tab.on('pageerror', lambda e: troubles.append((page, str(e))))
        tab.on('console', heard(page))
        tab.on('request', asked(page))
        tab.goto(f'{address}/{page}.html')
        return tab
    yield visit
    for tab in tabs: tab.close()
    assert not troubles

def lightness(tab, element, property):
    "Of a color, from 0 to 3*255"
    color = tab.evaluate(f'getComputedStyle(document.querySelector("{element}")).{property}')
    return sum(map(int, re.findall(r'\d+', color)[:3]))

@pytest.mark.parametrize('page', PAGES)
def test_a_page_can_be_read_everywhere(visit, page):
    for scheme in ('light', 'dark'):
        tab = visit(page, 390, scheme)
        assert tab.evaluate('document.documentElement.scrollWidth') <= 390
        dark = lightness(tab, 'body', 'backgroundColor') < 3*128
        light_text = lightness(tab, 'main p', 'color') > 3*128
        assert dark == light_text == (scheme == 'dark')
        tab.set_viewport_size({'width': 1400, 'height': 900})
        assert tab.evaluate('document.documentElement.scrollWidth') <= 1400
        tab.close()

SOURCES = {'gae': ('invention/reinforce', 'elm_nb.invention.reinforce'),
    'GridArchive.add': ('search/map_elites', 'elm_nb.search.map_elites'),
    'LanguageModel.sample': ('language/sampler', 'elm_nb.language.sampler')}

@pytest.mark.parametrize('name', SOURCES)
def test_the_source_can_be_unfolded_and_read(visit, name):
    page, module = SOURCES[name]
    wanted = inspect.getsource(attrgetter(name)(import_module(module)))
    tab = visit(page)
    folded = tab.locator(f'[id="{name.lower()}"] ~ details.source').first
    assert not folded.locator('pre').is_visible()
    folded.locator('summary').click()
    assert folded.locator('pre').is_visible()
    assert folded.locator('pre').inner_text().rstrip() == textwrap.dedent(wanted).rstrip()

def test_all_exported_code_can_be_read(soups):
    "Private helpers and constants, too, which have no table"
    unread = []
    for notebook in NOTEBOOKS:
        page = page_of(notebook)
        shown = {line.strip() for pre in soups[page].select('pre') for line in pre.get_text().split('\n')}
        for cell in json.loads((ROOT/'nbs'/notebook).read_text())['cells']:
            code = ''.join(cell['source'])
            if cell['cell_type'] != 'code' or not re.match(r'#\| export\b', code): continue
            lines = [line.strip() for line in code.split('\n') if not re.match(r'#|from |import |\s*$', line)]
            unread += [(page, line) for line in lines if line not in shown]
    assert not unread

@pytest.mark.parametrize('page', ('index', 'invention/reinforce'))
def test_search_finds_a_page(visit, page):
    tab = visit(page)
    fields = 'input[type=search], #quarto-search input, .aa-Input, input[placeholder*=Search]'
    tab.locator(fields).first.click()
    tab.keyboard.type('untrusted', delay=20)
    tab.locator('a[href*="sandbox.html"]:visible').first.click()
    tab.wait_for_url('**/search/sandbox.html*')

def test_walkers_move(visit):
    assert differs(visit('index'), 'main img')
    assert differs(visit('sodarace/live'), '.elm-live canvas')

def test_a_click_on_the_map_plays_that_champion(visit):
    tab = visit('sodarace/show')
    tab.wait_for_selector('.elm-map[data-ready]', state='attached') # what is packed is unpacked there
    root = tab.locator('.elm-map').first
    program, cells = root.locator('pre').inner_text(), root.locator('.cells button:enabled')
    others = [i for i in range(cells.count()) if cells.nth(i).get_attribute('aria-pressed') is None]
    cells.nth(others[0]).click()
    now = root.locator('pre').inner_text()
    assert now != program and 'def make_walker' in now
    assert differs(tab, '.elm-map canvas')

def extent(numbers):
    numbers = list(numbers)
    return max(numbers) - min(numbers)

def settled(element):
    "Where an element is when the page around it no longer moves"
    box = None
    while box != (box := element.bounding_box()): element.page.wait_for_timeout(300)
    return box

def test_a_walker_can_be_changed(visit):
    tab = visit('sodarace/live')
    root = tab.locator('.elm-live')
    told, program = root.locator('.told'), lambda: root.locator('pre').text_content()
    root.locator('[name=terrain]').select_option('bumpy')
    tab.wait_for_timeout(800)
    assert re.fullmatch(r'\d\.\d s: -?\d+\.\d units', told.inner_text())
    assert float(told.inner_text().split()[0]) > 0.3
    root.locator('[name=build]').click()
    before = program()
    root.locator('[name=amplitude]').fill('-7.5')
    assert ', False, -7.5,' in program() and program() != before
    box, seen = settled(root.locator('canvas')), program()
    joints = [tuple(map(float, m)) for m in re.findall(r'add_joint\((.*), (.*)\)', seen)]
    middle = (min(x for x,_ in joints) + max(x for x,_ in joints))/2
    width = max(1.6*extent(x for x,_ in joints), 3.2*extent(y for _,y in joints), 16)
    scale, foot = box['width']/width, min(y for _,y in joints)
    x, y = joints[0]
    def on_screen(x, y):
        center, ground = box['x'] + box['width']/2, box['y'] + 0.82*box['height']
        return center + (x - middle)*scale, ground - (y - foot)*scale
    tab.mouse.move(*on_screen(x, y))
    tab.mouse.down()
    tab.mouse.move(*on_screen(x + 2, y + 1), steps=4)
    tab.mouse.up()
    moved = [tuple(map(float, m)) for m in re.findall(r'add_joint\((.*), (.*)\)', program())]
    assert moved[0] == pytest.approx((x + 2, y + 1), abs=0.1) and moved[1:] == joints[1:]
    root.locator('[name=again]').click()
    assert program() == before
    root.locator('[name=build]').click()
    tab.wait_for_timeout(600)
    assert differs(tab, '.elm-live canvas')
