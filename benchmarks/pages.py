"""Does every page run where only the package is installed, and how long does it take? .ci/seconds.json

    python benchmarks/pages.py [--slow] [PAGE ...]      PAGE as in sodarace/00_walker

The pages run one after the other, as copies in runs/pages, where the outcomes stay. Without their slow cells
all of them take a few minutes on two cores; with `--slow`, hours. Pages that fail are named at the end.
"""
import json, os, shutil, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT/'.ci/seconds.json' # for each page: with its quick cells only, with all
AT = ROOT/'runs/pages'
COMPILED, SIMULATOR = 'sodarace/03_compiled', 'sodarace/02_simulator'
NEEDS_NUMBA = {'quick': {COMPILED}, 'slow': {COMPILED, SIMULATOR}} # the page says so, or its cell does

def pip(*packages):
    command = [AT/'env/bin/pip', 'install', '-q', '-c', ROOT/'constraints.txt', *packages]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

def install():
    "An environment with the wheel, which is returned, and with what Jupyter needs to run notebooks"
    shutil.rmtree(AT/'dist', ignore_errors=True)
    build = [sys.executable, '-m', 'build', '--wheel', '--outdir', AT/'dist', ROOT]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next((AT/'dist').glob('*.whl'))
    subprocess.run([sys.executable, '-m', 'venv', '--clear', AT/'env'], check=True)
    pip(wheel, 'ipykernel', 'nbclient')
    return wheel

def notebook_of(page): return json.loads((ROOT/f'nbs/{page}.ipynb').read_text())

def is_slow(cell): return cell['cell_type'] == 'code' and ''.join(cell['source']).startswith('#| slow')

def has_slow(page): return any(map(is_slow, notebook_of(page)['cells']))

def all_pages():
    notebooks = (ROOT/'nbs').rglob('[!.]*.ipynb')
    return sorted(f.relative_to(ROOT/'nbs').with_suffix('').as_posix() for f in notebooks)

def run(page, kind):
    "Seconds from the start of the kernel to the last cell, or None if a cell failed"
    notebook = notebook_of(page)
    if kind == 'quick': notebook['cells'] = [c for c in notebook['cells'] if not is_slow(c)]
    copy = AT/'nbs'/f'{page}.ipynb'
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(json.dumps(notebook))
    environment = os.environ | {'PATH': f'{AT}/env/bin:{os.environ["PATH"]}'}
    command = [AT/'env/bin/jupyter-execute', '--inplace', '--timeout=-1', copy.name]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=copy.parent, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        print(f'{page}, {kind}: FAILED\n{done.stderr[-3000:]}', flush=True)
        return None
    print(f'{page}, {kind}: {seconds:.0f} s', flush=True)
    return round(seconds)

def note(page, kind, seconds):
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    known.setdefault(page, {})[kind] = seconds
    OUT.write_text(json.dumps(dict(sorted(known.items())), indent=1) + '\n')

if __name__ == '__main__':
    kind = 'slow' if '--slow' in sys.argv else 'quick'
    pages = [a for a in sys.argv[1:] if a != '--slow'] or all_pages()
    if kind == 'slow': pages = [p for p in pages if has_slow(p)]
    wheel, failed = install(), []
    for page in sorted(pages, key=NEEDS_NUMBA[kind].__contains__): # the others run without it
        if page in NEEDS_NUMBA[kind]: pip(f'{wheel}[fast]')
        if (seconds := run(page, kind)) is None: failed.append(page)
        else: note(page, kind, seconds)
    if failed: sys.exit(f'failed: {", ".join(failed)}')
