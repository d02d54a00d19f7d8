"""How much of a champion's fitness is left in fresh starts? elm_nb/data/starts.json

    python benchmarks/starts.py

Genetic programming from each of the four seed programs, 2,048 evaluations, once with the distance of one
start as fitness and once with the median of three. Every champion is then put down 20 times more, moved by a
thousandth of a unit each time, by moves that no run has seen. Needs the extra `fast`. Takes some minutes.
"""
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np

from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.sodarace.simulator import perturbed, simulate
from elm_nb.sodarace.walker import InvalidWalker

OUT = Path(__file__).parent.parent/'elm_nb/data/starts.json'
FRESH = range(1000, 1020)


def distance(walker, seed):
    "Of a walker whose joints are moved; 0 if that ends badly"
    try: return abs(simulate(perturbed(walker, seed), backend='numba').distance)
    except InvalidWalker: return 0.


def run(name, starts):
    "Champions of one run: fitness, and the median of fresh starts; and what an evaluation took, in ms"
    domain = Sodarace(backend='numba', starts=starts)
    domain.evaluate(SEEDS[name]) # compiles
    begun = process_time()
    archive = evolve(domain, GeneticMutator(), SEEDS[name], iterations=64)
    took = (process_time() - begun)/2048
    found = []
    for champion in archive.champions.values():
        outcome = domain.walker(champion.item.program)
        if outcome.status != 'ok': continue # it was near the limit of time
        walker = outcome.value
        fresh = np.median([distance(walker, seed) for seed in FRESH])
        found.append((round(champion.fitness, 3), round(float(fresh), 3)))
    return {'seed program': name, 'starts': starts, 'ms': round(took*1000, 2), 'champions': found}


if __name__ == '__main__':
    with ProcessPoolExecutor(2) as pool: runs = list(pool.map(run, *zip(*product(SEEDS, (1, 3)))))
    OUT.write_text(json.dumps(runs) + '\n')
    for r in runs:
        fitness, fresh = np.sum(r['champions'], axis=0)
        name = f'{r["seed program"]:14}{r["starts"]} starts {len(r["champions"]):4} champions'
        print(f'{name}, fitness {fitness:7.0f}, fresh {fresh:7.0f} ({fresh/fitness:.0%}), {r["ms"]} ms')
