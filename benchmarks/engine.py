"""How fast is the engine, against a former version in the same run? elm_nb/data/engine.json

    git worktree add ../former ad31809
    python benchmarks/engine.py ../former

Genetic evolution from each of the four seed programs by `elm evolve`, 1,920 evaluations, versions in turns
and each with its defaults: evaluations a second in the loop, the first iteration left out, and of the whole
command. Then children a second of the language model, 32 of one parent, with one thread. Takes some minutes.
"""
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

HERE = Path(__file__).parent.parent
OUT = HERE/'elm_nb/data/engine.json'
SEEDS = 'square', 'radial', 'cppn_fixed', 'cppn_mutable'
ROUNDS, ITERATIONS, EVALUATIONS = 2, 60, 32
LANGUAGE = '''
import json, sys, time, torch
torch.set_num_threads(1)
try: from elm_nb.language.model import load_model
except ImportError: from elm_nb.model import load_model
try:
    from elm_nb.language.mutator import DiffMutator
    from elm_nb.sodarace.domain import SEEDS, MESSAGES
except ImportError:
    from elm_nb.mutator import DiffMutator
    from elm_nb.domain import SEEDS, MESSAGES
mutator = DiffMutator(load_model('smollm2-135m-edits'), MESSAGES)
mutator.propose(SEEDS['square'], 2, [9])
begun = time.perf_counter()
for seed in range(2): mutator.propose(SEEDS['square'], 32, [seed])
print(64/(time.perf_counter() - begun))
'''


def python(version, *arguments):
    "What the Python of this environment prints with that version of the package"
    environment = os.environ | {'PYTHONPATH': str(version), 'TQDM_DISABLE': '1'}
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=version, check=True,
        capture_output=True, text=True).stdout


def evolved(version, name):
    "Evaluations a second in the loop, and of the whole command"
    with TemporaryDirectory() as folder:
        command = ['evolve', '--mutator', 'genetic', '--seed-program', name]
        command += ['--iterations', str(ITERATIONS), '--out', f'{folder}/run']
        begun = perf_counter()
        python(version, '-c', 'from elm_nb.cli import main; main()', *command)
        whole = perf_counter() - begun
        with sqlite3.connect(f'{folder}/run/run.sqlite') as log:
            loop, = log.execute('select sum(seconds) from iterations where iteration > 1').fetchone()
    return (ITERATIONS - 1)*EVALUATIONS/loop, ITERATIONS*EVALUATIONS/whole


def compared(measure, versions):
    "The medians of both versions, measured in turns"
    found = {name: [] for name in versions}
    for _ in range(ROUNDS):
        for name, folder in versions.items(): found[name].append(measure(folder))
    return {name: median(values) for name, values in found.items()}


if __name__ == '__main__':
    versions = {'former': Path(sys.argv[1]).absolute(), 'now': HERE.absolute()}
    for folder in versions.values(): evolved(folder, 'square') # compiles
    measured = {'cores': len(os.sched_getaffinity(0)), 'genetic': {}, 'whole command': {}}
    for name in SEEDS:
        rates = {}
        for _ in range(ROUNDS):
            for version, folder in versions.items():
                rates.setdefault(version, []).append(evolved(folder, name))
        for k, kind in enumerate(('genetic', 'whole command')):
            measured[kind][name] = {v: round(median(r[k] for r in found), 1) for v, found in rates.items()}
        print(name, measured['genetic'][name], measured['whole command'][name], flush=True)
    children = compared(lambda folder: float(python(folder, '-c', LANGUAGE)), versions)
    measured['language model'] = {version: round(rate, 3) for version, rate in children.items()}
    print(measured['language model'])
    OUT.write_text(json.dumps(measured, indent=1) + '\n')
