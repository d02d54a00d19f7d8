"""How fast is the engine, against a former version in the same run? elm_nb/data/engine.json

    git worktree add ../former ad31809
    elm pipeline --scale tiny --out runs/tiny
    python benchmarks/engine.py ../former runs/tiny

Genetic evolution from each of the four seed programs by `elm evolve`, versions in turns and each with its
defaults: evaluations a second in the loop, the first iteration left out, and of the whole command. Then
children a second of the language model, 32 of one parent, with one thread, in 32-bit and 16-bit numbers, and
programs a second of stage 3 at the tiny scale, with the model that the pipeline trained and two processes,
each of which evaluates itself. About 15 minutes.
"""
import json
import os
import shutil
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
ROUNDS, ITERATIONS, EVALUATIONS = 3, 80, 32
LANGUAGE = '''
import sys, time, torch
torch.set_num_threads(1)
try:
    from elm_nb.language.model import load_model
    from elm_nb.language.mutator import DiffMutator
    from elm_nb.sodarace.domain import SEEDS, MESSAGES
except ImportError:
    from elm_nb.model import load_model
    from elm_nb.mutator import DiffMutator
    from elm_nb.domain import SEEDS, MESSAGES
mutator = DiffMutator(load_model('smollm2-135m-edits', dtype=getattr(torch, sys.argv[1])), MESSAGES)
mutator.propose(SEEDS['square'], 2, [9])
begun = time.perf_counter()
for seed in range(2): mutator.propose(SEEDS['square'], 32, [seed])
print(64/(time.perf_counter() - begun))
'''
STAGE3 = '''
import sys, time
from dataclasses import replace
try:
    from elm_nb.invention.conditional import make_policy, ValueNetwork
    from elm_nb.invention.generator import load_generator
    from elm_nb.invention.reinforce import reinforce
    from elm_nb.sodarace.domain import Sodarace
    from elm_nb.sodarace.terrain import TERRAINS
except ImportError:
    from elm_nb.conditional import make_policy, ValueNetwork
    from elm_nb.inventor import load_inventor as load_generator
    from elm_nb.reinforce import reinforce
    from elm_nb.domain import Sodarace
    from elm_nb.terrain import TERRAINS
from elm_nb.launch import launch
from elm_nb.pipeline import SCALES

def work(processes):
    config = replace(SCALES['tiny'].reinforce, iterations=4)
    generator = load_generator(sys.argv[1], trainable=True)
    policy = make_policy(generator, list(TERRAINS.values()))
    value, domains = ValueNetwork(policy), {t: Sodarace(t) for t in TERRAINS.values()}
    begun = time.perf_counter()
    reinforce(policy, value, generator, domains, config, None, processes)
    if getattr(processes, 'is_first', getattr(processes, 'is_main_process', False)):
        print(4*config.samples/(time.perf_counter() - begun))

if __name__ == '__main__': launch(work, (), 2)
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


def scripted(script, argument, folder):
    "A function that runs a script with a version, and gives the number that it prints"
    file = Path(folder)/f'script{abs(hash(script))}.py' # a file, since it starts processes
    file.write_text(script)
    return lambda version: [float(python(version, str(file), str(argument)).split()[-1])]


def compared(measure, versions, what):
    "The medians of both versions, measured in turns"
    found = {name: [] for name in versions}
    for _ in range(ROUNDS):
        for name, folder in versions.items(): found[name].append(measure(folder))
    medians = {name: [round(median(column), 2) for column in zip(*rows)] for name, rows in found.items()}
    print(what, medians, flush=True)
    return medians


def for_both(model, folder):
    "A copy of a trained model that the former version reads, too"
    copy = shutil.copytree(model, folder)
    shutil.copy(copy/'generator.json', copy/'inventor.json')
    return copy


def measured(versions, model, scratch):
    "All figures, by what is measured and version"
    for folder in versions.values(): evolved(folder, 'square') # compiles
    found = {}
    for name in SEEDS:
        both = compared(lambda folder, name=name: evolved(folder, name), versions, name)
        for k, kind in enumerate(('evaluations', 'evaluations of the whole command')):
            found[f'{kind}, {name}'] = {version: rates[k] for version, rates in both.items()}
    for dtype in ('float32', 'bfloat16'):
        rates = compared(scripted(LANGUAGE, dtype, scratch), versions, dtype)
        found[f'children, {dtype}'] = {version: rate for version, (rate,) in rates.items()}
    copy = for_both(model, Path(scratch)/'model')
    rates = compared(scripted(STAGE3, copy, scratch), versions, 'stage 3')
    found['programs, stage 3'] = {version: rate for version, (rate,) in rates.items()}
    return found


if __name__ == '__main__':
    former, run = sys.argv[1:]
    versions = {'former': Path(former).absolute(), 'now': HERE.absolute()}
    with TemporaryDirectory() as scratch: found = measured(versions, Path(run)/'stage2'/'model', scratch)
    data = {'cores': len(os.sched_getaffinity(0)), 'a second': found}
    OUT.write_text(json.dumps(data, indent=1) + '\n')
