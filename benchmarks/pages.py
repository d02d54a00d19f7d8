"""Does every page run from a fresh kernel where nothing but the package is installed, and how long does it take? .ci/seconds.json

    python benchmarks/pages.py [--slow] [PAGE ...]

The pages run one after the other, as copies in runs/pages, where the outcomes stay. Without their slow cells all of them take a few minutes
on two cores; with `--slow`, hours. Pages that fail are named at the end.
"""
import json, os, shutil, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT/'.ci/seconds.json' # for each page: with its quick cells only, with all
AT = ROOT/'runs/pages'
NEEDS_NUMBA = {'quick': {'01a_compiled'}, 'slow': {'01a_compiled', '02_simulator'}} # these say so, or the cell does that needs it

def install():
    "An environment with the wheel and what Jupyter needs to run notebooks"
    shutil.rmtree(AT/'dist', ignore_errors=True)
    subprocess.run([sys.executable, '-m', 'build', '--wheel', '--outdir', AT/'dist', ROOT], check=True, capture_output=True)
    wheel = next((AT/'dist').glob('*.whl'))
    subprocess.run([sys.executable, '-m', 'venv', '--clear', AT/'env'], check=True)
    def pip(*packages): subprocess.run([AT/'env/bin/pip', 'install', '-q', '-c', ROOT/'constraints.txt', *packages], check=True, stderr=subprocess.DEVNULL)
    pip(wheel, 'ipykernel', 'nbclient')
    return lambda: pip(f'{wheel}[fast]')

def run(page, kind):
    "Seconds from the start of the kernel to the last cell, or None if a cell failed"
    notebook = json.loads((ROOT/f'nbs/{page}.ipynb').read_text())
    if kind == 'quick': notebook['cells'] = [c for c in notebook['cells'] if not is_slow(c)]
    copy = AT/'nbs'/f'{page}.ipynb'
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(json.dumps(notebook))
    environment = os.environ | {'PATH': f'{AT}/env/bin:{os.environ["PATH"]}'}
    began = time.perf_counter()
    done = subprocess.run([AT/'env/bin/jupyter-execute', '--inplace', '--timeout=-1', copy.name], cwd=copy.parent, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    print(f'{page}, {kind}:', f'{seconds:.0f} s' if done.returncode == 0 else f'FAILED\n{done.stderr[-3000:]}', flush=True)
    return None if done.returncode else round(seconds)

def is_slow(cell): return cell['cell_type'] == 'code' and ''.join(cell['source']).startswith('#| slow')

if __name__ == '__main__':
    kind = 'slow' if '--slow' in sys.argv else 'quick'
    pages = [a for a in sys.argv[1:] if a != '--slow'] or sorted(f.stem for f in (ROOT/'nbs').glob('*.ipynb'))
    if kind == 'slow': pages = [p for p in pages if any(map(is_slow, json.loads((ROOT/f'nbs/{p}.ipynb').read_text())['cells']))]
    add_numba, failed = install(), []
    for page in sorted(pages, key=lambda p: p in NEEDS_NUMBA[kind]): # numba comes last, so that the others run without it
        if page in NEEDS_NUMBA[kind]: add_numba()
        if (seconds := run(page, kind)) is None: failed.append(page)
        else:
            known = json.loads(OUT.read_text()) if OUT.exists() else {}
            known.setdefault(page, {})[kind] = seconds
            OUT.write_text(json.dumps(dict(sorted(known.items())), indent=1) + '\n')
    if failed: sys.exit(f'failed: {", ".join(failed)}')
