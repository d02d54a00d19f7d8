"""Evolve the champions that pages and tests use as examples: elm_nb/data/walkers.json.gz

    python benchmarks/population.py

Genetic programming, 50 iterations of 32 evaluations, from each of the four seed programs on each of the five
terrains; of every run the best champion and 25 more chosen at random, and what they do on the terrains and on
some relatives of them.
Needs the extra `fast`. Takes about five minutes on two cores; the same file comes out each time.
"""
import gzip
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator
from elm_nb.sodarace.simulator import simulate
from elm_nb.sodarace.terrain import TERRAINS, bumpy, right_wall, tunnel
from elm_nb.sodarace.walker import InvalidWalker

OUT = Path(__file__).parent.parent/'elm_nb/data/walkers.json.gz'
HEIGHTS = {right_wall: (2, 5, 10, 20), bumpy: (1, 2, 6), tunnel: (4, 7, 13, 16)}
RELATIVES = [replace(family(height=h), name=f'{family.__name__} {h}')
    for family,heights in HEIGHTS.items() for h in heights]


def outcome(walker, terrain):
    "Distance, and leftmost and rightmost joint at the end"
    try: rollout = simulate(walker, terrain)
    except InvalidWalker: return 0., 0., 0. # no room, or it ended badly
    x = rollout.positions[-1, :, 0]
    return round(rollout.distance, 2), round(float(x.min()), 2), round(float(x.max()), 2)


def reach(walker):
    "How high a walker usually reaches while it walks"
    return round(float(np.median(simulate(walker, fps=10).positions[..., 1].max(axis=1))), 2)


def champions(terrain, seed):
    "Some champions of one run, as plain data"
    domain = Sodarace(terrain=terrain, backend='numba')
    archive = evolve(domain, GeneticMutator(), SEEDS[seed], iterations=50)
    ranked = sorted(archive.champions.values(), key=lambda c: -c.fitness)
    chosen = [0, *sorted(1 + np.random.default_rng(0).choice(len(ranked)-1, 25, replace=False))]
    found = []
    for program in (ranked[i].item.program for i in chosen):
        built = domain.walker(program)
        if built.status != 'ok':
            ending = f'{built.status} ({built.detail})'
            raise RuntimeError(f'a champion ended with {ending} the second time:\n{program}')
        walker = built.value
        found.append({
            'seed': seed,
            'terrain': terrain.name,
            'program': program,
            'joints': walker.joints,
            'muscles': walker.muscles,
            'top': reach(walker),
            'outcome': {t.name: outcome(walker, t) for t in (*TERRAINS.values(), *RELATIVES)}})
    return found


if __name__ == '__main__':
    runs = [(terrain, seed) for terrain in TERRAINS.values() for seed in SEEDS]
    with ProcessPoolExecutor(2) as pool:
        population = [walker for run in pool.map(champions, *zip(*runs)) for walker in run]
    OUT.write_bytes(gzip.compress(json.dumps(population).encode(), mtime=0))
    print(f'{len(population)} walkers, {OUT.stat().st_size/1000:.0f} kB')
