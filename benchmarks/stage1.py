"""Does a mutator that learns from accepted edits search better? elm_nb/data/stage1.json

    elm pretrain --iterations 0 --bf16 --out runs/human
    python benchmarks/stage1.py runs/stage1 runs/human/adapter

From Square, 512 evaluations of each mutator with three run seeds, 2 parents x 16 children an iteration for all of them: genetic,
genetic with numbers only, the model trained on human edits only, on accepted edits, too, and further on edits that it got accepted
itself in several ways, or the genetic mutator; and with commit messages that adapt. What is learned from are runs with other seeds than those compared.
Some get four times as long runs, too: as many evaluations as a comparison and the runs of one round to learn from have together.
Goes on where it was stopped. Takes two hours on two cores.
"""
import json, sys
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np

from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, recorded, start
from elm_nb.language.finetune import start_finetune
from elm_nb.language.lessons import FinetuneConfig
from elm_nb.language.model import EDITS, SMOLLM2, find_model
from elm_nb.language.mutator import AdaptiveMessages
from elm_nb.search.run import Run, differences, replay, shares

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


def size_of(program, domain):
    "Joints and muscles"
    walker = domain.walker(program).value
    return len(walker.joints), len(walker.muscles)

def evaluations(folder):
    with Run(folder) as run: return sum(1 for _ in run.entries()) - 1 # the seed program aside

def measure(folder, domain):
    "The course of a run, and what it did to the structure of walkers"
    with Run(folder) as run: entries, history = list(run.entries()), run.history()
    archive, programs = replay(entries, domain.axes), {e.id: e.program for e in entries if e.accepted}
    sizes = {i: size_of(program, domain) for i,program in programs.items()}
    accepted = [e for e in entries if e.accepted and e.parent is not None]
    larger = sum(any(new > old for new,old in zip(sizes[e.id], sizes[e.parent])) for e in accepted)
    heaviest = max(int(np.unravel_index(niche, archive.bins)[2]) for niche in archive.champions)
    return {'history': history, 'shares': shares(entries), 'accepted': len(accepted), 'opened a niche': sum(e.verdict == 'new' for e in accepted),
        'larger': larger, 'heaviest': heaviest, 'best': archive.best.item.program}


def chances(folder, domain):
    "How often each message would be used after each iteration of a run"
    messages, found = AdaptiveMessages(domain.messages), []
    with Run(folder) as run: entries = list(run.entries())
    for _,iteration in groupby(entries, key=lambda e: e.iteration):
        messages.learn(list(iteration))
        found.append(dict(messages))
    return found


if __name__ == '__main__':
    out, human = Path(sys.argv[1]), sys.argv[2]
    domain, results, learned = Sodarace(), {}, {}
    def folder_of(name): return out/name.replace(' ', '-').replace(',', '')
    def runs(name, config, seeds):
        folders = [folder_of(f'{name}-{seed}') for seed in seeds]
        for folder,seed in zip(folders, seeds):
            asked = EvolveConfig(**{**COMMON, **config}, seed=seed)
            Run(folder, recorded(asked, domain)).close() # was the same asked for?
            if evaluations(folder) < asked.iterations*asked.parents*asked.children: start(asked, folder)
        return folders
    def compare(name, **config):
        folders = runs(name, config, MEASURED)
        results[name] = [measure(folder, domain) for folder in folders]
        final = [r['history'][-1] for r in results[name]]
        print(f'{name:45} niches {[f[1] for f in final]} QD {[round(f[2]) for f in final]} accepted {[r["accepted"] for r in results[name]]}', flush=True)
        return folders
    mutators = {'genetic': dict(mutator='genetic'), 'genetic, numbers only': dict(mutator='genetic', numbers_only=True),
        'human edits': dict(model=human, bf16=True), ACCEPTED: dict(model=EDITS, bf16=True)}
    for name,config in mutators.items(): compare(name, **config)
    def note(name, begin, card, evaluations): # what was learned from
        learned[name] = {'begin': begin, 'counts': card['counts'], 'steps': len(card['log']), 'evaluations': evaluations}
    card = json.loads(Path(find_model(EDITS), 'card.json').read_text())
    note(ACCEPTED, SMOLLM2, card, card['evaluations'])
    for name,(begin,teachers,settings) in ROUNDS.items():
        own = [folder for teacher in teachers for folder in runs(f'to learn from {teacher}', mutators[teacher], LEARNED_FROM)]
        folder, config = folder_of(f'learned {name}'), FinetuneConfig(mutators[begin]['model'], edits=1000, bf16=True, **settings)
        if not (folder/'adapter').exists(): start_finetune(own, config, folder)
        card = json.loads((folder/'finetune.json').read_text())
        if differ := differences(card['config'], asdict(config)): raise SystemExit(f'{folder} holds another training: {differ}; choose another folder')
        note(name, begin, card, sum(evaluations(run) for run in own))
        mutators[name] = dict(model=str(folder/'adapter'), bf16=True)
        compare(name, **mutators[name])
    adaptive = compare(f'{ACCEPTED}, adaptive messages', **mutators[ACCEPTED], adaptive=True)
    for name in LONGER: compare(f'{name}, longer', iterations=64, **mutators[name])
    messages = [chances(folder, domain) for folder in adaptive]
    made = {'command': f'python benchmarks/stage1.py {" ".join(sys.argv[1:])}'}
    OUT.write_text(json.dumps({**made, 'results': results, 'learned': learned, 'messages': messages}, indent=1) + '\n')
    domain.sandbox.close()
