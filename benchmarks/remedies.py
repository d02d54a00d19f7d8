"""What takes the language model past the wall? elm_nb/data/remedies.parquet

    python benchmarks/remedies.py folder first-adapter adapter [remedy or run seed ...]

Evolution by the language model alone, 512 evaluations from the square with three run seeds: with the adapter
of the first training and of all three, asked by the messages of the domain or by wishes, with neutral drift,
with parents from the edge of the map, with shorter answers, and learning after each quarter, from up to 96 of
the edits that the run has got accepted so far. The last also in runs of 2,048 evaluations, which learn after
every 512. Each run ends as a row of the file; those that are there are not made again.
"""
import sys
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from wall import course, done, keep, lineage

from elm_nb.language import mutator as mutator_module
from elm_nb.language.finetune import finetune, FinetuneConfig
from elm_nb.language.model import load_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.language.wishes import edge, Wishes
from elm_nb.launch import count_evaluators, launch
from elm_nb.search.evolve import evolve
from elm_nb.search.map_elites import GridArchive
from elm_nb.search.run import Run, shares
from elm_nb.sodarace.domain import SEEDS, Sodarace

OUT = Path(__file__).parent.parent/'elm_nb/data/remedies.parquet'
RUN_SEEDS = 0, 1, 2


@dataclass(frozen=True)
class Remedy:
    "What is tried"
    first:bool=False  # Training only, or all three
    wishes:bool=True  # Or the messages of the domain
    drift:bool=True
    edge:bool=False   # Parents beside empty niches
    lines:int=8       # Of an answer
    keep:float=0.3    # How often the beginning of a line stays
    iterations:int=16 # Of 32 evaluations each
    learn:int=0       # After so many iterations, each time


REMEDIES = {
    'first training': Remedy(first=True, wishes=False, drift=False),
    'three trainings': Remedy(wishes=False, drift=False),
    'wishes': Remedy(drift=False),
    'wishes and drift': Remedy(),
    'parents from the edge': Remedy(edge=True),
    'four lines': Remedy(lines=4, keep=0.7),
    'own edits': Remedy(learn=4),
    'own edits, longer': Remedy(iterations=64, learn=16)}


class Edge(GridArchive):
    "An archive that draws parents by how many of the next niches are empty"
    def sample(self, n, rng, choose=None):
        empty = edge(self)
        weights = 0.1 + np.array(list(empty.values()))
        return [self.champions[niche] for niche in rng.choice(list(empty), n, p=weights/weights.sum())]


def evolved(remedy, folder, adapter, seed, iterations, workers):
    "Let a run go on to so many iterations"
    mutator_module.MAX_LINES, mutator_module.KEEP_PREFIX = remedy.lines, remedy.keep
    mutator_module.MAX_TOKENS['infill'] = 28*remedy.lines
    domain = Sodarace()
    config = {'domain': 'sodarace', 'seed_program': 'square', 'mutator': 'diff', 'drift': remedy.drift,
        'parents': 4, 'children': 8, 'seed': seed, 'settings': domain.settings, 'remedy': asdict(remedy)}
    messages = Wishes(domain) if remedy.wishes else domain.messages
    mutator = DiffMutator(load_model(adapter, dtype=torch.bfloat16), messages)
    with Run(folder, config) as log:
        evolve(domain, mutator, SEEDS['square'], iterations, seed=seed, run=log, workers=workers, together=32,
            drift=remedy.drift)


def learned(folder, adapter, last, workers):
    "An adapter that has learned from the iterations until then, too"
    out = f'{folder}-learned-{last}'
    if not Path(out, 'adapter').exists():
        config = FinetuneConfig(adapter, edits=96, hindsight=True, bf16=True, held_out=0.1)
        finetune([folder], Sodarace(), config, out, workers, last)
    return f'{out}/adapter'


def work(workers, name, seed, folder, first, adapter):
    "Make a run, or go on with it"
    remedy, adapter = REMEDIES[name], first if REMEDIES[name].first else adapter
    sys.modules['elm_nb.search.evolve'].GridArchive = Edge if remedy.edge else GridArchive
    for last in range(remedy.learn, remedy.iterations, remedy.learn) if remedy.learn else []:
        evolved(remedy, folder, adapter, seed, last, workers)
        adapter = learned(folder, adapter, last, workers)
    evolved(remedy, folder, adapter, seed, remedy.iterations, workers)


if __name__ == '__main__':
    folder, first, adapter, *chosen = sys.argv[1:]
    names, seeds = [c for c in chosen if not c.isdigit()], [int(c) for c in chosen if c.isdigit()]
    known = {(r['remedy'], r['seed']) for r in done(OUT)}
    for seed,name in product(seeds or RUN_SEEDS, names or REMEDIES):
        if (name, seed) in known: continue
        place = f'{folder}/{name}-{seed}'.replace(' ', '-')
        launch(work, (name, seed, place, first, adapter), 1, count_evaluators())
        with Run(place) as log:
            row = {'remedy': name, 'seed': seed, 'course': course(log), 'lineage': lineage(log),
                'seconds': sum(r[-1] for r in log.history()), 'shares': shares(list(log.entries()))}
        keep(row, OUT)
        print(name, seed, row['course'][-1], flush=True)
