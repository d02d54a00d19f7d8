"""Where does genetic programming stop? elm_nb/data/wall.parquet

    python benchmarks/wall.py tune folder
    python benchmarks/wall.py run folder [variant ...]

Evolution by random mutation: of numbers only, by the operators of `GeneticMutator`, with subtree mutation
added, with crossover added, with neutral drift, and with all of these. From the square to 1,024,000
evaluations, the paper's budget, with run seed 0 and to 100,000 with run seeds 1 and 2; from each other seed
program to 100,000 with run seed 0. This is the plan; the page of results shows the runs that have been made.
Each ends as a row of the file; those that are there are not made again. One that was stopped goes on, as long
as the folder with its log is there. A run of 100,000 takes three to sixteen minutes on two cores, one of a
million more than an hour, as its walkers grow.

How often to use subtree mutation and crossover is tuned first, by runs of 20,000 evaluations from two of the
seed programs with run seed 100, which no other run has.
"""
import math, sys
from collections import Counter
from itertools import product
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from elm_nb.launch import count_evaluators, launch
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import cross_over, GeneticMutator, grow_expression, OPERATOR_SETS
from elm_nb.search.genetic import OPERATORS, replace_expression
from elm_nb.search.map_elites import CHAMPION, GridArchive
from elm_nb.search.run import Run, whole_file
from elm_nb.sodarace.domain import SEEDS, Sodarace

OUT = Path(__file__).parent.parent/'elm_nb/data/wall.parquet'
MILLION, LONG, SHORT, PER_ITERATION = 1_024_000, 100_000, 20_000, 32
SUBTREE = replace_expression, grow_expression
SHARES = 0.1, 0.25, 0.5                    # tried for what is added to the operators
TUNED = {'subtree': 0.1, 'crossover': 0.1} # the best of them, also in `OPERATOR_SETS['all']`


def mixed(subtree=0., crossover=0.):
    "The usual operators, and these for a share of the mutations"
    usual = OPERATORS*round(20*(1 - subtree - crossover)) # of 200 in all
    return usual + SUBTREE*round(100*subtree) + (cross_over,)*round(200*crossover)


assert mixed(**TUNED) == OPERATOR_SETS['all']


def variant(name):
    "Operators of a variant, and does it drift?"
    if ' ' in name: # a share that is tried
        kind, share = name.split()
        return mixed(**{kind: float(share)}), False
    return {
        'numbers': (OPERATOR_SETS['numbers'], False),
        'genetic': (OPERATORS, False),
        'subtree': (mixed(subtree=TUNED['subtree']), False),
        'crossover': (mixed(crossover=TUNED['crossover']), False),
        'drift': (OPERATORS, True),
        'all': (OPERATOR_SETS['all'], True)}[name]


VARIANTS = 'numbers', 'genetic', 'subtree', 'crossover', 'drift', 'all'


def plan(names):
    "(variant, seed program, run seed, evaluations) of each run, short ones first"
    others = [program for program in SEEDS if program != 'square']
    yield from ((v, 'square', seed, LONG) for seed,v in product((1, 2), names))
    yield from ((v, program, 0, LONG) for program,v in product(others, names))
    yield from ((v, 'square', 0, MILLION) for v in names)


def tuning():
    "As `plan`, for the choice of shares"
    kinds = [f'{kind} {share}' for kind,share in product(('subtree', 'crossover'), SHARES)]
    yield from ((v, program, 100, SHORT) for program,v in product(('square', 'radial'), ['genetic', *kinds]))


def work(workers, run, folder):
    "Make a run, or go on with it"
    name, program, seed, n = run
    operators, drift = variant(name)
    domain = Sodarace()
    config = {'domain': 'sodarace', 'seed_program': program, 'mutator': 'genetic', 'variant': name,
        'drift': drift, 'operators': dict(Counter(o.__name__ for o in operators)), 'parents': 4,
        'children': 8, 'iterations': n//PER_ITERATION, 'seed': seed, 'settings': domain.settings}
    with Run(folder, config) as log:
        evolve(domain, GeneticMutator(operators), SEEDS[program], n//PER_ITERATION, seed=seed, run=log,
            workers=workers, drift=drift)


def bins_of_mass(archive): return np.unravel_index(list(archive.champions), archive.bins)[2]


def course(log, until=None):
    "Of a hundred moments of a run, maybe of its first iterations only: what it had found by then"
    archive, history, rows = GridArchive(Sodarace.axes), log.history()[:until], []
    new = iter(log.entries("verdict = 'new'"))
    entry = next(new, None)
    wanted = {round(k) for k in np.linspace(1, len(history) - 1, 100)}
    for k,(evaluations, niches, qd_score, most, _) in enumerate(history):
        while entry and entry.id < evaluations:
            archive.add([entry.fitness], [entry.behavior], [None])
            entry = next(new, None)
        if k not in wanted: continue
        by_mass = np.bincount(bins_of_mass(archive), minlength=archive.bins[2]).tolist()
        rows.append({'evaluations': evaluations, 'niches': niches, 'qd_score': qd_score, 'most': most,
            'by_mass': by_mass})
    return rows


def champions(log):
    "Who holds the niches at the end"
    last = log.entries(f'verdict in {CHAMPION}')
    archive = GridArchive(Sodarace.axes, drift=log.config['drift'])
    for entry in last: archive.add([entry.fitness], [entry.behavior], [entry.program])
    return [{'niche': niche, 'fitness': c.fitness, 'behavior': c.behavior, 'program': c.item}
        for niche,c in sorted(archive.champions.items())]


def lineage(log, last=math.inf):
    "From the seed program to the heaviest of all that held a niche, of these to the one that goes farthest"
    entries = {e.id: e for e in log.entries(f'verdict in {CHAMPION} and id < ?', [last])}
    entry, steps = max(entries.values(), key=lambda e: (e.behavior[2], e.fitness)), []
    while entry:
        steps.append({'message': entry.message, 'program': entry.program, 'fitness': entry.fitness,
            'behavior': entry.behavior, 'evaluations': entry.id})
        entry = entries.get(entry.parent)
    return steps[::-1]


def done(out=OUT): return pq.read_table(out).to_pylist() if out.exists() else []


def keep(row, out=OUT):
    "Add a row to a file, to which others may be adding theirs"
    with FileLock(Path(gettempdir(), f'{out.name}.lock')):
        rows = [*done(out), row]
        names = dict.fromkeys(name for row in rows for name in row)
        rows = [{name: row.get(name) for name in names} for row in rows]
        with whole_file(out) as file:
            pq.write_table(pa.Table.from_pylist(rows), file, compression='zstd', compression_level=19)


if __name__ == '__main__':
    what, folder, *names = sys.argv[1:]
    runs = list(tuning() if what == 'tune' else plan(names or VARIANTS))
    known = {(r['variant'], r['seed_program'], r['seed'], r['budget']) for r in done()}
    for run in runs:
        if run in known: continue
        place = Path(folder)/'-'.join(map(str, run)).replace(' ', '-')
        launch(work, (run, str(place)), 1, count_evaluators())
        with Run(place) as log:
            held = [] if what == 'tune' else champions(log)
            row = dict(zip(('variant', 'seed_program', 'seed', 'budget'), run), course=course(log),
                champions=held, seconds=sum(r[-1] for r in log.history()))
        keep(row)
        last = row['course'][-1]
        print(*run, f'{last["niches"]} niches, QD score {last["qd_score"]:.0f}', last['by_mass'], flush=True)
