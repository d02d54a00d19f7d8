"What the site adds to notebooks, whichever program renders it: a line under the title, and pictures at their size with alternative texts"
import base64, html, json, struct
from pathlib import Path

from fastcore.nbio import mk_cell
from nbdev.config import get_config
from nbdev.process import Processor

SECONDS = Path(__file__).with_name('seconds.json') # written by benchmarks/pages.py

class page_head(Processor):
    "Under the title of every page: where its notebook is, and how long it takes"
    def end(self):
        file = Path(self.nb.path_).name
        at = f'{get_config().git_url.removeprefix("https://github.com/")}/blob/main/nbs/{file}'
        package = 'elm_nb[fast]' if "pip install 'elm_nb[fast]'" in str([c.source for c in self.nb.cells if c.cell_type == 'markdown']) else 'elm_nb'
        links = f'[Notebook](https://github.com/{at}) · [Colab](https://colab.research.google.com/github/{at}), where `!pip install {package}` comes first'
        seconds = json.loads(SECONDS.read_text()).get(Path(file).stem, {})
        told = f' · runs in about {_about(seconds["quick"])} on two CPU cores' if 'quick' in seconds else ''
        if 'slow' in seconds: told += f', with its slow cells in about {_about(seconds["slow"])}'
        elif any('slow' in c.directives_ for c in self.nb.cells if c.cell_type == 'code'): told += ', without its slow cells'
        first = next(i for i,c in enumerate(self.nb.cells) if c.cell_type == 'raw') + 1
        self.nb.cells.insert(first, mk_cell(f'::: {{.page-head}}\n{links}{told}\n:::', 'markdown'))

def _about(seconds):
    "A rough duration in words"
    if seconds < 55: return f'{max(5*round(seconds/5), 5)} seconds'
    return 'a minute' if seconds < 90 else f'{round(seconds/60)} minutes'

def sized(cell):
    "Show PNG pictures, which have two pixels for each that is meant, at their size on paper; `#| fig-alt:` says what is on them"
    if cell.cell_type != 'code': return
    about = cell.directives_.get('fig-alt', '').strip('"')
    for output in cell.get('outputs', []):
        if 'image/png' not in (data := output.get('data', {})): continue
        picture = ''.join(data['image/png']).replace('\n', '')
        width, _ = struct.unpack('>II', base64.b64decode(picture)[16:24])
        output['data'] = {'text/html': f'<img src="data:image/png;base64,{picture}" width="{width//2}" class="img-fluid" alt="{html.escape(about)}">'}
