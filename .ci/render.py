"""The site as a folder of pages, without Quarto: notebooks processed by nbdev, rendered by smalldocs.

    python .ci/render.py     writes _docs/

Quarto and smalldocs read the same _quarto.yml. What differs is mended here: pages are named by their module,
formulas need KaTeX beside them, the theme asks for fonts from elsewhere, and links to the site itself become
relative, so that a page asks nothing of another host.
"""
import json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE, KATEX = 'https://elm-nb.github.io/elm_nb/', '0.16.11'
WANTED = re.compile(r'.*\.min\.(js|css)|contrib|fonts|.*\.woff2') # of what KaTeX has
UNKNOWN = re.compile(r'output-file: \S+\.html\\n|    keep-md: true\n') # what smalldocs does not know
LINK = re.compile(r'(\]\(|- |href: )((?:\.\./)*(?:\w+/)*\w+)\.ipynb') # to a notebook

def page_of(notebook):
    "The name of its page, as nbdev has put it into its first cell"
    head = ''.join(json.loads(notebook.read_text())['cells'][0]['source'])
    name = re.search(r'^output-file: (\S+)\.html', head, re.M)
    return name[1] if name else notebook.stem

def processed(stage):
    "Let nbdev process the notebooks, and name each as its page is to be named, in the folder where it is"
    from nbdev.serve import proc_nbs
    proc_nbs(str(ROOT/'nbs'), force=True)
    shutil.copytree(ROOT/'_proc', stage, ignore=shutil.ignore_patterns('_docs', '_site'))
    names = {notebook: page_of(notebook) for notebook in stage.rglob('*.ipynb')}
    def renamed(file):
        def link(found):
            target = Path(os.path.normpath(file.parent/f'{found[2]}.ipynb'))
            if target not in names: return found[0]
            return f'{found[1]}{Path(found[2]).with_name(names[target])}.ipynb'
        return LINK.sub(link, file.read_text())
    for file in [stage/'_quarto.yml', *names]:
        text = UNKNOWN.sub('', renamed(file))
        file.unlink()
        file.with_stem(names.get(file, file.stem)).write_text(text)
    settings = (stage/'nbdev.yml').read_text()
    (stage/'nbdev.yml').write_text(settings[:settings.index('format-links:')])

def add_katex(folder):
    "Put what sets formulas beside the pages"
    with tempfile.TemporaryDirectory() as scratch:
        pack = ['npm', 'pack', '--silent', f'katex@{KATEX}']
        try: subprocess.run(pack, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            sys.exit('KaTeX, which sets the formulas of the site, could not be had from npm '
                f'(on Debian: apt-get install npm): {error}')
        shutil.unpack_archive(f'{scratch}/katex-{KATEX}.tgz', scratch)
        def unwanted(_, names): return [name for name in names if not WANTED.fullmatch(name)]
        shutil.copytree(f'{scratch}/package/dist', folder, ignore=unwanted)

PRIVATE = re.compile(r'<a href="[^"]*#(?:[\w.]+\.)?_\w+">(<code>\w+</code>)</a>') # has no place of its own

def at_home(page, out):
    "Let a page ask only for what lies beside it, from whatever folder it is in"
    to_root = '../'*(len(page.relative_to(out).parts) - 1)
    elsewhere = f'https://cdn.jsdelivr.net/npm/katex@{KATEX}/dist'
    text = page.read_text().replace(elsewhere, f'{to_root}site_libs/katex')
    text = text.replace(f'href="{SITE}', f'href="{to_root}')
    page.write_text(PRIVATE.sub(r'\1', text))

def render():
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)/'site'
        processed(stage)
        smalldocs = [sys.executable, '-m', 'smalldocs.cli', 'render', '--strict', '--quiet', str(stage)]
        subprocess.run(smalldocs, check=True)
        out = stage/'_docs'
        add_katex(out/'site_libs/katex')
        for page in out.rglob('*.html'): at_home(page, out)
        for style in out.rglob('*.css'):
            text = style.read_text()
            if '@import' in text: style.write_text(re.sub(r'@import url\([^)]*\);?', '', text))
        shutil.rmtree(ROOT/'_docs', ignore_errors=True)
        shutil.move(out, ROOT/'_docs')

if __name__ == '__main__':
    paths = [str(ROOT/'.ci'), *filter(None, [os.environ.get('PYTHONPATH')])]
    os.environ['PYTHONPATH'] = os.pathsep.join(paths) # where nbdev's processes find api_table and page
    render()
