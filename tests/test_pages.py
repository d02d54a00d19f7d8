"What every notebook has to have, read from its cells"
import ast, json, re, sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT/'nbs').glob('*.ipynb'))
NAMED_OTHERWISE = {'pydantic-monty': 'pydantic_monty'}

def cells(notebook, kind): return [''.join(c['source']) for c in json.loads(notebook.read_text())['cells'] if c['cell_type'] == kind]

def imported(code):
    "The packages that a cell imports, wherever in it"
    for node in ast.walk(ast.parse(re.sub(r'^(\s*)[!%]', r'\1#', code, flags=re.M))):
        if isinstance(node, ast.Import): yield from (name.name.split('.')[0] for name in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level: yield node.module.split('.')[0]

@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda n: n.stem)
def test_a_page_needs_nothing_but_the_package(notebook):
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini')
    required = {re.match(r'[\w-]+', r)[0] for r in config['DEFAULT']['requirements'].split()}
    allowed = {NAMED_OTHERWISE.get(r, r) for r in required} | sys.stdlib_module_names | {'elm_nb', 'IPython'} # who opens a notebook has IPython
    allowed |= {'tokenizers', 'safetensors', 'huggingface_hub'} # come with transformers
    needed = {package for code in cells(notebook, 'code') for package in imported(code)}
    if extra := needed - allowed: assert re.search(r'pip install .elm_nb\[(fast|hub|api)\]', notebook.read_text()), extra # asked for where it is missing

@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda n: n.stem)
def test_a_page_begins_with_what_it_holds_and_ends_with_what_comes_next(notebook):
    texts = cells(notebook, 'markdown')
    assert re.match(r'# .+\n\n> .+', texts[0]), texts[0]
    if notebook.stem != 'index': assert re.search(r'\]\(\w+\.ipynb\)', texts[-1]), texts[-1]

@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda n: n.stem)
def test_what_was_drawn_is_said_in_words(notebook):
    for cell in json.loads(notebook.read_text())['cells']:
        if not any('image/png' in output.get('data', {}) for output in cell.get('outputs', [])): continue
        options = [line.removeprefix('#| ') for line in cell['source'] if line.startswith('#| ') and ':' in line]
        assert yaml.safe_load(''.join(options))['fig-alt']
