"""The site as a folder of pages, without Quarto: notebooks processed by nbdev, rendered by smalldocs, nothing asked of another host.

    python .ci/render.py     writes _docs/

Both read the same _quarto.yml. What differs is mended here: pages are named by their module, formulas need KaTeX beside them,
the theme asks for fonts from elsewhere, and links to the site itself become relative.
"""
import json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE, KATEX = 'https://elm-nb.github.io/elm_nb/', '0.16.11'

def processed(stage):
    "Let nbdev process the notebooks, and name each as its page is to be named"
    from nbdev.serve import proc_nbs
    proc_nbs(str(ROOT/'nbs'), force=True)
    shutil.copytree(ROOT/'_proc', stage, ignore=shutil.ignore_patterns('_docs', '_site'))
    names = {}
    for notebook in stage.glob('*.ipynb'):
        head = ''.join(json.loads(notebook.read_text())['cells'][0]['source'])
        name = re.search(r'^output-file: (\S+)\.html', head, re.M)
        names[notebook.name] = f'{name[1] if name else notebook.stem}.ipynb'
    either = re.compile('|'.join(map(re.escape, names)))
    for file in [stage/'_quarto.yml', *stage.glob('*.ipynb')]:
        text = either.sub(lambda found: names[found[0]], file.read_text())
        file.unlink()
        (stage/names.get(file.name, file.name)).write_text(re.sub(r'output-file: \S+\.html\\n|    keep-md: true\n', '', text)) # what smalldocs does not know
    settings = (stage/'nbdev.yml').read_text()
    (stage/'nbdev.yml').write_text(settings[:settings.index('format-links:')])

def add_katex(folder):
    "Put what sets formulas beside the pages"
    with tempfile.TemporaryDirectory() as scratch:
        try: subprocess.run(['npm', 'pack', '--silent', f'katex@{KATEX}'], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            sys.exit(f'KaTeX, which sets the formulas of the site, could not be had from npm (on Debian: apt-get install npm): {error}')
        shutil.unpack_archive(f'{scratch}/katex-{KATEX}.tgz', scratch)
        shutil.copytree(f'{scratch}/package/dist', folder, ignore=lambda _,names: [n for n in names if not re.fullmatch(r'.*\.min\.(js|css)|contrib|fonts|.*\.woff2', n)])

def render():
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)/'site'
        processed(stage)
        subprocess.run([sys.executable, '-m', 'smalldocs.cli', 'render', '--strict', '--quiet', str(stage)], check=True)
        out = stage/'_docs'
        add_katex(out/'site_libs/katex')
        for page in out.glob('*.html'):
            text = page.read_text().replace(f'https://cdn.jsdelivr.net/npm/katex@{KATEX}/dist', 'site_libs/katex')
            page.write_text(text.replace(f'href="{SITE}', 'href="'))
        for style in out.rglob('*.css'):
            text = style.read_text()
            if '@import' in text: style.write_text(re.sub(r'@import url\([^)]*\);?', '', text))
        shutil.rmtree(ROOT/'_docs', ignore_errors=True)
        shutil.move(out, ROOT/'_docs')

if __name__ == '__main__':
    os.environ['PYTHONPATH'] = str(ROOT/'.ci') # where nbdev's processes find api_table
    render()
