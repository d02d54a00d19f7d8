"""Does a mutator that learns from accepted edits search better? elm_nb/data/stage1.json

    elm pretrain --iterations 0 --bf16 --out runs/human
    python benchmarks/stage1.py runs/stage1 runs/human/adapter

From Square, 512 evaluations of each mutator with three run seeds, 2 parents x 16 children an iteration for
all of them: genetic, genetic with numbers only, the model trained on human edits only, on accepted edits,
too, and further on edits that it got accepted itself in several ways, or the genetic mutator. What is
learned from are runs with other seeds than those compared. Some get four times as long runs, too: as many
evaluations as a comparison and the runs of one round to learn from have together.
Goes on where it was stopped. Takes two hours on two cores.
"""
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from elm_nb.language.finetune import FinetuneConfig, start_finetune
from elm_nb.language.model import EDITS, SMOLLM2, find_model
from elm_nb.search.run import Run, differences, replay, shares
from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, recorded, start

OUT = Path(__file__).parent.parent/'elm_nb/data/stage1.json'
COMMON = dict(iterations=16, parents=2, children=16)
MEASURED, LEARNED_FROM = (0, 1, 2), (100, 101, 102) # run seeds
ACCEPTED = 'human edits and accepted edits' # the adapter in the package
LONGER = 'genetic', 'genetic, numbers only', 'human edits', 'own edits, second round'
ROUNDS = { # name: what it starts from, whose runs it learns from, settings
    'own edits, after human edits': ('human edits', ('human edits',), {}),
    'genetic edits, after human edits': ('human edits', ('genetic',), {}),
    'own edits, second round': ('human edits', ('human edits', 'own edits, after human edits'), {}),
    'own edits': (ACCEPTED, (ACCEPTED,), {}),
    'own edits that opened a niche': (ACCEPTED, (ACCEPTED,), dict(improved=0.))}


def mutators(human):
    "What the configurations of the mutators that are there from the beginning differ in, by name"
    return {
        'genetic': dict(mutator='genetic'),
        'genetic, numbers only': dict(mutator='genetic', operators='numbers'),
        'human edits': dict(model=human, bf16=True),
        ACCEPTED: dict(model=EDITS, bf16=True)}


def size_of(program, domain):
    "Joints and muscles"
    walker = domain.walker(program).value
    return len(walker.joints), len(walker.muscles)


def evaluations(folder):
    "How many a run has, the seed program aside"
    with Run(folder) as run: return sum(1 for _ in run.entries()) - 1


def measure(folder, domain):
    "The course of a run, and what it did to the structure of walkers"
    with Run(folder) as run: entries, history = list(run.entries()), run.history()
    archive = replay(entries, domain.axes)
    sizes = {e.id: size_of(e.program, domain) for e in entries if e.accepted}
    accepted = [e for e in entries if e.accepted and e.parent is not None]
    larger = sum(any(new > old for new,old in zip(sizes[e.id], sizes[e.parent])) for e in accepted)
    heaviest = max(int(np.unravel_index(niche, archive.bins)[2]) for niche in archive.champions)
    return {'history': history, 'shares': shares(entries), 'accepted': len(accepted),
        'opened a niche': sum(e.verdict == 'new' for e in accepted), 'larger': larger, 'heaviest': heaviest,
        'best': archive.best.item.program}


class Benchmark:
    "Runs and trainings in a folder, and what was found"
    def __init__(self, out, human):
        self.out, self.domain, self.mutators = Path(out), Sodarace(), mutators(human)
        self.results, self.learned = {}, {}

    def folder(self, name): return self.out/name.replace(' ', '-').replace(',', '')

    def runs(self, name, config, seeds):
        "The folders of runs, which are made unless they are there"
        folders = [self.folder(f'{name}-{seed}') for seed in seeds]
        for folder,seed in zip(folders, seeds):
            asked = EvolveConfig(**{**COMMON, **config}, seed=seed)
            Run(folder, recorded(asked, self.domain)).close() # was the same asked for?
            if evaluations(folder) < asked.iterations*asked.parents*asked.children: start(asked, folder)
        return folders

    def compare(self, name, **config):
        "Measure a mutator"
        folders = self.runs(name, config, MEASURED)
        self.results[name] = [measure(folder, self.domain) for folder in folders]
        final = [r['history'][-1] for r in self.results[name]]
        accepted = [r['accepted'] for r in self.results[name]]
        niches, scores = [f[1] for f in final], [round(f[2]) for f in final]
        print(f'{name:45} niches {niches} QD {scores} accepted {accepted}', flush=True)
        return folders

    def note(self, name, begin, card, evaluations):
        "What a model has learned from"
        self.learned[name] = {'begin': begin, 'counts': card['counts'], 'steps': len(card['log']),
            'evaluations': evaluations}

    def learn(self, name, begin, teachers, settings):
        "Train a model on what runs accepted, which makes another mutator"
        own = []
        for teacher in teachers:
            own += self.runs(f'to learn from {teacher}', self.mutators[teacher], LEARNED_FROM)
        folder = self.folder(f'learned {name}')
        config = FinetuneConfig(self.mutators[begin]['model'], edits=1000, bf16=True, **settings)
        if not (folder/'adapter').exists(): start_finetune(own, config, folder)
        card = json.loads((folder/'finetune.json').read_text())
        differ = differences(card['config'], asdict(config))
        if differ: raise SystemExit(f'{folder} holds another training: {differ}; choose another folder')
        self.note(name, begin, card, sum(evaluations(run) for run in own))
        self.mutators[name] = dict(model=str(folder/'adapter'), bf16=True)


if __name__ == '__main__':
    benchmark = Benchmark(*sys.argv[1:3])
    for name,config in list(benchmark.mutators.items()): benchmark.compare(name, **config)
    card = json.loads(Path(find_model(EDITS), 'card.json').read_text())
    benchmark.note(ACCEPTED, SMOLLM2, card, card['evaluations'])
    for name,(begin,teachers,settings) in ROUNDS.items():
        benchmark.learn(name, begin, teachers, settings)
        benchmark.compare(name, **benchmark.mutators[name])
    for name in LONGER: benchmark.compare(f'{name}, longer', iterations=64, **benchmark.mutators[name])
    made = {'command': f'python benchmarks/stage1.py {" ".join(sys.argv[1:])}', 'results': benchmark.results,
        'learned': benchmark.learned}
    OUT.write_text(json.dumps(made, indent=1) + '\n')
    benchmark.domain.sandbox.close()
