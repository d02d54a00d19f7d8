"""Compare the edit formats: nbs/data/formats.json

    python benchmarks/formats.py runs/formats

The default model gets an adapter for each format, trained on the same 300 edits, half of them of walkers (accepted in genetic runs) and
half of functions (between releases of packages). Then it edits 16 walkers and 16 functions it has not seen, 8 times each;
the two formats with the most runnable walkers do so with other settings of sampling, too.
Goes on where it was stopped. Takes about half an hour on two cores.
"""
import ast, copy, json, sys
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from elm_nb.domain import Sodarace
from elm_nb.evolve import EvolveConfig, start
from elm_nb.finetune import FinetuneConfig, accepted_edits, answer, train_mutator
from elm_nb.human_edits import Change, describe, mine
from elm_nb.launch import launch, spread
from elm_nb.model import SMOLLM2, load_model
from elm_nb.mutator import MAX_TOKENS, DiffMutator
from elm_nb.run import Run, replay

OUT = Path(__file__).parent.parent/'nbs/data/formats.json'
SETTINGS = [dict(temperature=t, top_p=p, digits=d) for t,p,d in
    ((1., 0.95, None), (1., 1., None), (1., 0.9, None), (0.7, 0.95, None), (0.7, 0.95, 1.2), (0.7, 1., 1.2), (0.4, 0.95, 1.2))]


def genetic_runs(out, seed, iterations):
    "Runs from three seed programs"
    for name in ('square', 'cppn_fixed', 'cppn_mutable'):
        start(EvolveConfig('sodarace', name, 'genetic', iterations, parents=1, children=32, seed=seed), out/f'{name}-{seed}')
        with Run(out/f'{name}-{seed}') as run: yield run


def collect(out):
    "What to train on, and functions to edit"
    file, rng = out/'edits.json', np.random.default_rng(0)
    if not file.exists():
        accepted = [c for run in genetic_runs(out/'runs', 0, 60) for c in accepted_edits(run)]
        walkers = [c._replace(message=describe(c.before, c.after, 'make_walker')) for c in accepted]
        functions = [c for changes in mine(bugs=0, parameters=0).human.values() for c in changes if 4 <= c.before.count('\n') < 20]
        found = []
        for changes in (walkers, functions):
            said = (c for c in (changes[i] for i in rng.permutation(len(changes))) if all(answer(c, format, rng) for format in MAX_TOKENS))
            found.append([next(said) for _ in range(150)])
        file.write_text(json.dumps({'train': found[0] + found[1], 'functions': [next(said).before for _ in range(16)]}))
    return json.loads(file.read_text())


def train(accelerator, out, format):
    config = FinetuneConfig(SMOLLM2, format, edits=300, lr=1e-3, bf16=True)
    train_mutator([Change(*c) for c in collect(out)['train']], Sodarace.messages, config, out/format, accelerator)


def measure(accelerator, out, format, settings, file):
    "Shares of edits of walkers and of functions, and what they cost"
    model, domain, rng = load_model(str(out/format/'adapter'), dtype=torch.bfloat16), Sodarace(), np.random.default_rng(1)
    mutator, written = DiffMutator(model, Sodarace.messages, format=format, **settings), []
    sample = model.sample
    def counted(*args, **options):
        samples = sample(*args, **options)
        written.extend(len(s.tokens) for s in samples)
        return samples
    model.sample = counted
    archives = [replay(list(run.entries()), domain.axes) for run in genetic_runs(out/'runs', 100, 10)]
    parents = [(archive, c.item) for k,archive in enumerate(archives) for c in archive.sample(6 if k else 4, rng)]

    def edited(task):
        kind, i = task
        written.clear()
        program = parents[i][1].program.rstrip('\n') if kind == 'walkers' else functions[i]
        begin = perf_counter()
        proposals = mutator.propose(program, 8, [0, i])
        seconds, rows = perf_counter() - begin, []
        for p,tokens in zip(proposals, written):
            status = p.applied.status
            row = {'well-formed': status != 'malformed', 'applied': status not in ('malformed', 'no_match'), 'changed': p.applied.source != program}
            if kind == 'walkers':
                e = domain.evaluate(p.applied.source) if row['changed'] else None
                row['runnable'] = bool(e) and e.status == 'ok' and e.fingerprint != parents[i][1].fingerprint
                row['accepted'] = row['runnable'] and copy.deepcopy(parents[i][0]).add([e.fitness], [e.behavior], [p])[0] in ('new', 'improved')
            else:
                try: row['runnable'] = row['changed'] and bool(ast.parse(p.applied.source))
                except (SyntaxError, ValueError): row['runnable'] = False
            rows.append({**row, 'tokens': tokens})
        return seconds, rows

    functions, result = collect(out)['functions'], {'format': format, **settings}
    for kind in ('walkers', 'functions'):
        found = spread(edited, [(kind, i) for i in range(16)], accelerator)
        rows = [row for _,rows in found for row in rows]
        result[kind] = {name: float(np.mean([r[name] for r in rows])) for name in rows[0]} | {'edits': len(rows), 'seconds on a core': sum(s for s,_ in found)}
    if accelerator.is_main_process: file.write_text(json.dumps(result))
    domain.sandbox.close()


if __name__ == '__main__':
    out, results = Path(sys.argv[1]), []
    out.mkdir(parents=True, exist_ok=True)
    collect(out)
    for run in genetic_runs(out/'runs', 100, 10): pass
    def measured(format, settings):
        file = out/f'{format}-{"-".join(map(str, settings.values()))}.json'
        if not file.exists(): launch(measure, (out, format, settings, file), 2)
        results.append(json.loads(file.read_text()))
        print({k: v if isinstance(v, str) else round(v, 3) for k,v in results[-1]['walkers'].items()}, format, settings, flush=True)
        return results[-1]['walkers']['runnable']
    for format in MAX_TOKENS:
        if not (out/format/'adapter').exists(): launch(train, (out, format), 2)
    share = {format: measured(format, SETTINGS[0]) for format in MAX_TOKENS}
    for format in sorted(share, key=share.get)[-2:]:
        for settings in SETTINGS[1:]: measured(format, settings)
    training = {f: json.loads((out/f/'finetune.json').read_text()) for f in MAX_TOKENS}
    trained = {f: {'counts': t['counts'], 'packs': t['packs'], 'steps': len(t['log']), 'last': t['log'][-1]} for f,t in training.items()}
    OUT.write_text(json.dumps({'results': results, 'training': trained}, indent=1) + '\n')
