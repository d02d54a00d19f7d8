"What every notebook has to have, read from its cells"
import ast, json, os, re, sys
from configparser import ConfigParser
from pathlib import Path
from statistics import median

import elm_nb
import pytest
import yaml

from test_house import WINGS

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(f for f in (ROOT/'nbs').rglob('[!.]*.ipynb') if '.ipynb_checkpoints' not in f.parts)
NAMED_OTHERWISE = {'pydantic-monty': 'pydantic_monty'}
WIDTH, MEDIAN, LONGEST = 110, 12, 40 # characters of a line of code; lines of exported cells
TOO_LONG = {} # pages whose exported cells may be longer, each with the reason; none is to be added

def name(notebook): return notebook.relative_to(ROOT/'nbs').with_suffix('').as_posix()

def every_page(test): return pytest.mark.parametrize('notebook', NOTEBOOKS, ids=name)(test)

def all_cells(notebook):
    "Kind and source of each"
    return [(c['cell_type'], ''.join(c['source'])) for c in json.loads(notebook.read_text())['cells']]

def cells(notebook, kind): return [source for found,source in all_cells(notebook) if found == kind]

def imported(code):
    "The packages that a cell imports, wherever in it"
    for node in ast.walk(ast.parse(re.sub(r'^(\s*)[!%]', r'\1#', code, flags=re.M))):
        if isinstance(node, ast.Import): yield from (alias.name.split('.')[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level: yield node.module.split('.')[0]

@every_page
def test_a_page_needs_nothing_but_the_package(notebook):
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini')
    required = {re.match(r'[\w-]+', r)[0] for r in config['DEFAULT']['requirements'].split()}
    allowed = {NAMED_OTHERWISE.get(r, r) for r in required} | sys.stdlib_module_names | {'elm_nb'}
    allowed |= {'IPython'} # who opens a notebook has it
    allowed |= {'tokenizers', 'safetensors', 'huggingface_hub'} # come with transformers
    allowed |= {'markupsafe'} # comes with jinja2
    extra = {package for code in cells(notebook, 'code') for package in imported(code)} - allowed
    if extra: assert re.search(r'pip install .elm_nb\[(fast|hub|git)\]', notebook.read_text()), extra

@every_page
def test_a_page_begins_with_what_it_holds_and_ends_with_what_comes_next(notebook):
    texts = cells(notebook, 'markdown')
    assert re.match(r'# .+\n\n> .+', texts[0]), texts[0]
    if name(notebook) != 'index': assert re.search(r'\]\([\w./]+\.ipynb\)', texts[-1]), texts[-1]

def place(heading):
    "What a link calls it, once it is on the site"
    return re.sub(r'[^\w\s.-]', '', heading.lower().strip()).strip().replace(' ', '-')

@every_page
def test_links_to_other_pages_lead_there(notebook):
    for text in cells(notebook, 'markdown'):
        for path,anchor in re.findall(r'\]\((?!https?:|data:)([^)#\s]+)(?:#([^)]*))?\)', text):
            target = Path(os.path.normpath(notebook.parent/path))
            assert target.exists() and not path.startswith('/'), path
            if not anchor or target.suffix != '.ipynb': continue
            headings = re.findall(r'^#+ (.+)$', '\n'.join(cells(target, 'markdown')), re.M)
            code = '\n'.join(cells(target, 'code'))
            defined = re.findall(r'^(?:async )?(?:def|class) (\w+)', code, re.M)
            places = {*map(place, headings), *map(str.lower, defined)}
            assert anchor.split('.')[-1] in places or anchor in places, (path, anchor)

@every_page
def test_what_was_drawn_is_said_in_words(notebook):
    for cell in json.loads(notebook.read_text())['cells']:
        if not any('image/png' in output.get('data', {}) for output in cell.get('outputs', [])): continue
        directives = [line.removeprefix('#| ') for line in cell['source'] if line.startswith('#| ')]
        options = [line for line in directives if ':' in line]
        assert yaml.safe_load(''.join(options))['fig-alt']

# What the index says by hand

def index(kind): return '\n'.join(cells(ROOT/'nbs/index.ipynb', kind))

def test_the_index_shows_the_layout_that_is_promised():
    rows = dict(re.findall(r'^\| `(\w+)/` \|[^|]*\| (.+) \|$', index('markdown'), re.M))
    assert {wing: set(re.findall(r'`(\w+)`', allowed)) for wing,allowed in rows.items()} == WINGS

def test_the_index_names_every_page_and_what_can_be_imported():
    linked = set(re.findall(r'\]\(([\w/]+)\.ipynb\)', index('markdown')))
    assert linked == {name(notebook) for notebook in NOTEBOOKS} - {'index'}
    told = re.search(r'`from elm_nb import \.\.\.` has (.+?)\. A name', index('markdown'))[1]
    assert set(re.findall(r'`(\w+)`', told)) <= set(elm_nb.__all__)

def test_the_index_tells_the_gain_that_was_measured():
    tiny = (ROOT/'nbs/results/02_tiny.ipynb').read_text()
    measured = re.search(r'The diagonal gain is (-?[\d.]+) units in the mean', tiny)[1]
    assert float(re.search(r'^INVENTED = (\S+)', index('code'), re.M)[1]) == float(measured)

# The measure of pages: lines that fit a window, cells that fit a screen and hold one idea

def exported(notebook):
    "Lines of code of each exported cell, and the words just before it"
    words = ''
    for kind,source in all_cells(notebook):
        if kind == 'code' and re.match(r'#\| exporti?\b', source):
            lines = source.split('\n')
            yield sum(1 for line in lines if line.strip() and not line.startswith('#|')), words
        words = source if kind == 'markdown' else ''

@every_page
def test_lines_of_code_fit_a_window(notebook):
    lines = '\n'.join(cells(notebook, 'code')).split('\n')
    assert not [line for line in lines if len(line) > WIDTH and not line.startswith('#|')]

@every_page
def test_exported_cells_hold_one_idea(notebook):
    if name(notebook) in TOO_LONG: return
    found = list(exported(notebook))
    if not found: return
    assert median(lines for lines,_ in found) <= MEDIAN, sorted(lines for lines,_ in found)
    long = [(lines, words) for lines,words in found if lines > LONGEST]
    unexplained = [lines for lines,words in long if not re.search(r'\blong|\blength', words)]
    assert not unexplained, f'cells of {unexplained} lines, and no word before them on why they are so long'

def test_the_measure_measures(tmp_path): # otherwise what is above could not fail
    def cell(kind, source): return {'cell_type': kind, 'source': source.splitlines(keepends=True)}
    code = cell('code', '#| export\n' + '\n'.join(f'x{i} = {i}' for i in range(50)))
    page = tmp_path/'page.ipynb'
    words = 'It is long because it is a table.'
    page.write_text(json.dumps({'cells': [cell('markdown', words), code, code]}))
    assert list(exported(page)) == [(50, words), (50, '')]
