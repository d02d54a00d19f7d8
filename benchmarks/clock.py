"""What does each mutator find in the same time? elm_nb/data/clock.parquet

    python benchmarks/clock.py folder adapter minutes [run seed ...]

From each seed program: the best genetic control of `benchmarks/wall.py` (all operators, with drift), the
language model alone, and both as a portfolio, which share the cores of the machine. Both language models are
asked by wishes, with drift. Each run is stopped when its time is over and ends as a row of the file; those
that are there are not made again.
"""
import os, signal, subprocess, sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from wall import course, done, keep, SEEDS

from elm_nb.language.model import load_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.language.wishes import Wishes
from elm_nb.launch import count_evaluators, launch
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator, OPERATOR_SETS
from elm_nb.search.map_elites import CHAMPION
from elm_nb.search.portfolio import Portfolio
from elm_nb.search.run import Run
from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import SECONDS

OUT = Path(__file__).parent.parent/'elm_nb/data/clock.parquet'
KINDS = 'genetic', 'language model', 'portfolio'
ENDLESS, START = 10**7, 60 # iterations; seconds that a process may take to begin


def mutator(kind, adapter, domain):
    genetic = GeneticMutator(OPERATOR_SETS['all'])
    if kind == 'genetic': return genetic
    diff = DiffMutator(load_model(adapter, dtype=torch.bfloat16), Wishes(domain))
    return diff if kind == KINDS[1] else Portfolio(domain, {'diff': diff, 'genetic': genetic}, SECONDS)


def work(workers, folder, kind, program, seed, adapter):
    "A run without an end"
    domain = Sodarace()
    config = {'domain': 'sodarace', 'seed_program': program, 'mutator': kind, 'drift': True, 'parents': 4,
        'children': 8, 'seed': int(seed), 'adapter': adapter, 'settings': domain.settings}
    with Run(folder, config) as log:
        evolve(domain, mutator(kind, adapter, domain), SEEDS[program], ENDLESS, seed=int(seed), run=log,
            workers=workers, together=32, drift=True)


def until(folder, seconds):
    "Iterations of a run that had ended after so many seconds"
    with Run(folder) as log: return int((np.cumsum([row[-1] for row in log.history()]) <= seconds).sum())


def timed(folder, seconds, *asked):
    "Let a run go on for so many seconds"
    command = [sys.executable, __file__, 'one', str(folder), *asked]
    process = subprocess.Popen(command, start_new_session=True)
    try: process.wait(seconds + START)
    except subprocess.TimeoutExpired: os.killpg(process.pid, signal.SIGKILL)
    else: raise SystemExit(f'the run in {folder} failed')


def lineage(log, last):
    "From the seed program to the heaviest of all that held a niche, of these to the one that goes farthest"
    entries = {e.id: e for e in log.entries(f'verdict in {CHAMPION} and id < ?', [last])}
    entry, steps = max(entries.values(), key=lambda e: (e.behavior[2], e.fitness)), []
    while entry:
        steps.append({'message': entry.message, 'program': entry.program, 'fitness': entry.fitness,
            'behavior': entry.behavior, 'evaluations': entry.id})
        entry = entries.get(entry.parent)
    return steps[::-1]


def row(folder, seconds):
    "What a run found in its time"
    last = until(folder, seconds)
    with Run(folder) as log:
        history = log.history()
        spent = dict(zip([h[0] for h in history], np.cumsum([h[-1] for h in history])))
        found = [r | {'seconds': float(spent[r['evaluations']])} for r in course(log, last)]
        entries = log.entries("verdict = 'new' and id < ?", [found[-1]['evaluations']])
        opened = [e.message in Sodarace.wishes for e in entries]
        steps = lineage(log, found[-1]['evaluations'])
    return {'course': found, 'lineage': steps, 'opened': len(opened),
        'opened by the language model': sum(opened)}


if __name__ == '__main__':
    if sys.argv[1] == 'one':
        launch(work, sys.argv[2:], 1, count_evaluators())
        raise SystemExit
    folder, adapter, minutes, *seeds = sys.argv[1:]
    names, seconds = ('kind', 'seed_program', 'seed', 'minutes'), 60*float(minutes)
    rows = done(OUT)
    known = {tuple(r[name] for name in names) for r in rows}
    for seed,program,kind in product(map(int, seeds or (0, 1, 2)), SEEDS, KINDS):
        run = kind, program, seed, float(minutes)
        if run in known: continue
        place = Path(folder)/'-'.join(map(str, run)).replace(' ', '-')
        timed(place, seconds, kind, program, str(seed), adapter)
        rows.append(dict(zip(names, run)) | row(place, seconds))
        keep(rows, OUT)
        print(*run, rows[-1]['course'][-1], flush=True)
