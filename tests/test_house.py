"The promises of the layout: what may import what, read from the source of modules and pages"
import ast, json, os, re, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = {'launch', 'evaluators'} # what all wings share their work with
WINGS = {'search': {'plots', *ENGINE}, 'language': {'search', *ENGINE}, 'sodarace': {'search', *ENGINE},
    'invention': {'search', 'language', *ENGINE}}
KNOWS_ACCELERATE = {'launch'} # none is to be added
MODULES = sorted('.'.join(f.relative_to(ROOT/'elm_nb').with_suffix('').parts)
    for f in (ROOT/'elm_nb').rglob('*.py') if f.name not in ('__init__.py', '_modidx.py'))

def imported(code, package=''):
    "Modules of elm_nb, without that name, and other packages that a code imports, wherever in it"
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import): yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            parts = package.split('.')
            base = ['elm_nb', *parts][:1 + len(parts) - (node.level - 1)] if node.level else []
            base = base if not node.level or package else ['elm_nb']
            module = '.'.join([p for p in base if p] + ([node.module] if node.module else []))
            yield from ([f'{module}.{name.name}' for name in node.names] if module == 'elm_nb' else [module])

def ours(code, package=''):
    found = {m.removeprefix('elm_nb.') for m in imported(code, package) if m.startswith('elm_nb.')}
    return found & set(MODULES)

def wing(module): return module.split('.')[0] if '.' in module else ''

def source(module): return (ROOT/'elm_nb'/f'{module.replace(".", "/")}.py').read_text()

IMPORTS = {m: ours(source(m), wing(m)) for m in MODULES}

def test_imports_are_found(): # otherwise what follows could not fail
    assert {'search.map_elites', 'search.run', 'launch'} <= IMPORTS['search.evolve']
    assert 'sodarace.walker' in IMPORTS['sodarace.domain']
    code = 'from ..search.run import Run\nfrom .. import launch\nfrom . import model'
    assert ours(code, 'language') >= {'search.run', 'launch'}

@pytest.mark.parametrize('module', MODULES)
def test_imports_between_wings_run_one_way(module):
    if not wing(module): return
    allowed = WINGS[wing(module)] | {wing(module)}
    assert not {m for m in IMPORTS[module] if (wing(m) or m) not in allowed}

def test_no_module_imports_itself_by_way_of_others():
    def reached(module, seen):
        for m in IMPORTS[module] - seen: seen |= {m} | reached(m, seen | {m})
        return seen
    assert not [m for m in MODULES if m in reached(m, set())]

def test_few_modules_know_accelerate():
    knowing = {m for m in MODULES if any(i.split('.')[0] == 'accelerate' for i in imported(source(m)))}
    assert knowing == KNOWS_ACCELERATE # if this fails because there are fewer, take them off the list

def test_the_package_comes_without_torch():
    code = ('import sys, elm_nb; assert "torch" not in sys.modules and "numpy" not in sys.modules; '
        'elm_nb.simulate; assert "torch" not in sys.modules')
    subprocess.run([sys.executable, '-c', code], check=True)

def test_the_package_comes_at_once():
    code = 'from time import perf_counter as now; start = now(); import elm_nb; print(now() - start)'
    command = [sys.executable, '-c', code]
    took = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
    assert min(took) < 0.3 # the others say how busy the machine is

def test_names_of_the_package_are_those_of_its_modules():
    import elm_nb
    assert set(elm_nb.__all__) <= set(dir(elm_nb))
    for name in elm_nb.__all__: assert getattr(elm_nb, name).__name__ == name and name in vars(elm_nb)
    with pytest.raises(AttributeError, match='no attribute'): elm_nb.evolution

# Pages. The running example is Sodarace, whose pages come first;
# what comes later may be shown as data, not imported.
CONFIG = re.search(r'sidebar:.*?\nmetadata', (ROOT/'_quarto.yml').read_text(), re.S)[0]
READING = re.findall(r'[\w/]+\.ipynb', CONFIG)
NOTEBOOKS = sorted(str(f.relative_to(ROOT/'nbs')) for f in (ROOT/'nbs').rglob('*.ipynb')
    if '.ipynb_checkpoints' not in f.parts)

def code_of(page):
    cells = json.loads((ROOT/'nbs'/page).read_text())['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'code']

def module_of(page):
    return next((m[1] for code in code_of(page) if (m := re.match(r'#\| default_exp (\S+)', code))), None)

def test_the_sidebar_has_every_page_in_the_order_of_its_folder():
    assert sorted(READING) == NOTEBOOKS
    for folder in {os.path.dirname(p) for p in READING}:
        pages = [p for p in READING if os.path.dirname(p) == folder and p != 'index.ipynb']
        assert pages == sorted(pages)
        assert [int(os.path.basename(p)[:2]) for p in pages] == list(range(len(pages)))

def test_pages_stand_where_their_modules_do():
    for page in NOTEBOOKS:
        if module := module_of(page):
            assert re.sub(r'\d\d_', '', page).removesuffix('.ipynb').replace('/', '.') == module

@pytest.mark.parametrize('page', NOTEBOOKS)
def test_a_page_imports_nothing_that_comes_after_it(page):
    module, folder = module_of(page), os.path.dirname(page)
    if folder not in WINGS: return
    found = set().union(*(ours(re.sub(r'^(\s*)[!%]', r'\1#', code, flags=re.M)) for code in code_of(page)))
    before = {module_of(p) for p in READING[:READING.index(page)+1] if os.path.dirname(p) == folder}
    allowed = WINGS[folder] | {'sodarace', 'search', 'plots', 'pages', *ENGINE} - {folder}
    # optional, and explained after what it is fast at
    backend = {'sodarace.compiled'} if module == 'sodarace.simulator' else set()
    assert not {m for m in found - before - backend if (wing(m) or m) not in allowed}
