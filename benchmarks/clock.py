"""What does each mutator find in the same time? elm_nb/data/clock.parquet

    python benchmarks/clock.py folder minutes seed-program [mutator ...]

From a seed program, with three run seeds: genetic programming with all operators, the language model alone
(diff), asked by wishes, and both as a portfolio. All drift, and run as `elm evolve` does on all cores of the
machine. A run is stopped when its time is over and ends as a row of the file; those that are there are not
made again.
"""
import os, signal, subprocess, sys
from itertools import product
from pathlib import Path

import numpy as np
from wall import course, done, keep, lineage

from elm_nb.search.run import Run
from elm_nb.sodarace.domain import Sodarace

OUT = Path(__file__).parent.parent/'elm_nb/data/clock.parquet'
START, RUN_SEEDS = 60, (0, 1, 2) # seconds that a process may take to begin
COMMON = '--iterations 10000000 --parents 8 --children 8 --drift'.split()
GENETIC, DIFF = '--operators all'.split(), '--wishes --bf16 --together 32'.split()
OPTIONS = {'genetic': GENETIC, 'diff': DIFF, 'portfolio': GENETIC + DIFF}


def until(folder, seconds):
    "Iterations of a run that had ended after so many seconds"
    with Run(folder) as log: return int((np.cumsum([row[-1] for row in log.history()]) <= seconds).sum())


def timed(folder, seconds, mutator, program, seed):
    "Let a run go on for so many seconds"
    command = [sys.executable, '-c', 'from elm_nb.cli import main; main()', 'evolve', '--mutator', mutator,
        '--seed-program', program, '--seed', str(seed), '--out', str(folder), *COMMON, *OPTIONS[mutator]]
    process = subprocess.Popen(command, start_new_session=True)
    try: process.wait(seconds + START)
    except subprocess.TimeoutExpired: pass
    else: raise SystemExit(f'the run in {folder} failed')
    finally:
        if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def row(folder, seconds):
    "What a run found in its time"
    last = until(folder, seconds)
    with Run(folder) as log:
        history = log.history()
        spent = dict(zip([h[0] for h in history], np.cumsum([h[-1] for h in history])))
        found = [r | {'seconds': float(spent[r['evaluations']])} for r in course(log, last)]
        entries = log.entries("verdict = 'new' and id > 0 and id < ?", [found[-1]['evaluations']])
        opened = [e.message in Sodarace.wishes for e in entries]
        steps = lineage(log, found[-1]['evaluations'])
    return {'course': found, 'lineage': steps, 'opened': len(opened),
        'opened by the language model': sum(opened)}


if __name__ == '__main__':
    folder, minutes, program, *mutators = sys.argv[1:]
    names, seconds = ('mutator', 'seed_program', 'seed', 'minutes'), 60*float(minutes)
    known = {tuple(r[name] for name in names) for r in done(OUT)}
    for seed,mutator in product(RUN_SEEDS, mutators or OPTIONS):
        run = mutator, program, seed, float(minutes)
        if run in known: continue
        place = Path(folder)/'-'.join(map(str, run))
        timed(place, seconds, mutator, program, seed)
        found = row(place, seconds)
        keep(dict(zip(names, run)) | found, OUT)
        print(*run, found['course'][-1], flush=True)
