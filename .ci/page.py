"What the site adds to notebooks, whichever program renders it: a line under the title, code, pictures' texts"
import ast, base64, html, json, struct
from pathlib import Path

from fastcore.nbio import mk_cell
from nbdev.config import get_config
from nbdev.process import Processor

NOTEBOOKS = Path(__file__).parent.parent/'nbs'
SECONDS = Path(__file__).with_name('seconds.json') # written by benchmarks/pages.py

def exported_code(cell):
    "Of exported cells, which nbdev leaves out, what has no table: private helpers and constants, folded"
    if cell.cell_type != 'code': return
    asked = cell.directives_.keys()
    code = rest(cell.source) if asked & {'export', 'exporti'} and not asked & {'hide', 'default_exp'} else ''
    if code: cell.source, cell['outputs'] = f'#| code-fold: true\n#| code-summary: "Code"\n{code}', []
    elif asked & {'export', 'exporti', 'hide', 'default_exp'}: del cell['source']

def rest(source):
    "Code without imports and without the functions and classes that have a table, under which their code is"
    lines = source.split('\n')
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)) and not has_table(node): continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, 'decorator_list', []))]) - 1
        while first and (lines[first - 1] or '').startswith('#'): first -= 1 # the comment above it
        for i in range(first, node.end_lineno): lines[i] = None
    code = '\n'.join(line for line in lines if line is not None).strip('\n')
    return code if ast.parse(code).body else ''

def has_table(node):
    "Does nbdev document it? As it does functions and classes, unless they are private"
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): return False
    return not node.name.startswith('_') or node.name.startswith('__')

class page_head(Processor):
    "Under the title of every page: where its notebook is, and how long it takes"
    def end(self):
        page = Path(self.nb.path_).resolve().relative_to(NOTEBOOKS.resolve())
        at = f'{get_config().git_url.removeprefix("https://github.com/")}/blob/main/nbs/{page.as_posix()}'
        texts = str([c.source for c in self.nb.cells if c.cell_type == 'markdown'])
        package = 'elm_nb[fast]' if "pip install 'elm_nb[fast]'" in texts else 'elm_nb'
        colab = f'[Colab](https://colab.research.google.com/github/{at})'
        line = f'[Notebook](https://github.com/{at}) · {colab}, where `!pip install {package}` comes first'
        line += self.told(page.with_suffix('').as_posix())
        first = next(i for i,c in enumerate(self.nb.cells) if c.cell_type == 'raw') + 1
        self.nb.cells.insert(first, mk_cell(f'::: {{.page-head}}\n{line}\n:::', 'markdown'))

    def told(self, page):
        "How long it takes, as far as that was measured"
        seconds = json.loads(SECONDS.read_text()).get(page, {})
        told = f' · runs in about {_about(seconds["quick"])} on two CPU cores' if 'quick' in seconds else ''
        if 'slow' in seconds: return f'{told}, with its slow cells in about {_about(seconds["slow"])}'
        slow = any('slow' in c.directives_ for c in self.nb.cells if c.cell_type == 'code')
        return f'{told}, without its slow cells' if told and slow else told

def _about(seconds):
    "A rough duration in words"
    if seconds < 55: return f'{max(5*round(seconds/5), 5)} seconds'
    return 'a minute' if seconds < 90 else f'{round(seconds/60)} minutes'

def sized(cell):
    "PNG pictures at half their pixels, as they are meant to be seen; `#| fig-alt:` says what is on them"
    if cell.cell_type != 'code': return
    about = html.escape(cell.directives_.get('fig-alt', '').strip('"'))
    for output in cell.get('outputs', []):
        if 'image/png' not in (data := output.get('data', {})): continue
        picture = ''.join(data['image/png']).replace('\n', '')
        width, _ = struct.unpack('>II', base64.b64decode(picture)[16:24])
        attributes = f'width="{width//2}" class="img-fluid" alt="{about}"'
        output['data'] = {'text/html': f'<img src="data:image/png;base64,{picture}" {attributes}>'}
