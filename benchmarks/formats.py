"""Compare the edit formats: elm_nb/data/formats.json

    python benchmarks/formats.py runs/formats

The default model gets an adapter for each format, trained on the same 300 edits that all of them can say (those of a fifth of the
programs are held out), half of them of walkers, accepted in genetic runs, and half of functions, between releases of packages. Then it
makes 512 edits of 32 walkers from other runs, and 128 of 16 other functions. The two formats with the most accepted edits in a minute
edit the walkers with other settings of sampling, too; the two best settings of the best format, and the first one, are then tried with
the adapter that comes with the package.
Goes on where it was stopped. Takes about an hour and a quarter on two cores.
"""
import ast, copy, json, sys
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, start
from elm_nb.language.finetune import train_mutator
from elm_nb.language.lessons import FinetuneConfig, _text, edits_of
from elm_nb.language.human_edits import Change, describe, mine
from elm_nb.launch import launch, distributed_map
from elm_nb.language.model import EDITS, SMOLLM2, load_model
from elm_nb.language.mutator import MAX_TOKENS, DiffMutator
from elm_nb.search.run import Run, replay, write_whole
from elm_nb.language.training import Text

NAMES = 'square', 'cppn_fixed', 'cppn_mutable'
OUT = Path(__file__).parent.parent/'elm_nb/data/formats.json'
SETTINGS = [dict(temperature=t, top_p=p, digits=d) for t,p,d in
    ((1., 0.95, None), (1., 1., None), (0.7, 0.95, None), (0.7, 0.95, 1.2), (0.7, 1., 1.2))]


def function_name(program): return ast.parse(program).body[0].name


def genetic_runs(out, seed):
    "Runs from three seed programs"
    for name in NAMES:
        with Run(out/f'runs/{name}-{seed}') as run: yield run


def collect(out):
    "What to train on, which all formats can say, and functions to edit, which have other names"
    file = out/'edits.json'
    if file.exists(): return json.loads(file.read_text())
    rng, model = np.random.default_rng(0), load_model()
    accepted = [c for run in genetic_runs(out, 0) for c in edits_of(run)]
    order = {before: i for i,before in enumerate(dict.fromkeys(accepted[i].before for i in rng.permutation(len(accepted))))}
    walkers = [c._replace(message=describe(c.before, c.after, 'make_walker')) for c in sorted(accepted, key=lambda c: order[c.before])] # one program after the other
    functions = [c for changes in mine(bugs=0, parameters=0).human.values() for c in changes if 4 <= c.before.count('\n') < 20]
    shuffled = [functions[i] for i in rng.permutation(len(functions))]
    said = lambda c: all(isinstance(_text(c, model, FinetuneConfig(format=format), rng), Text) for format in MAX_TOKENS)
    chosen = [list(islice(filter(said, changes), 150)) for changes in (walkers, shuffled)]
    known = {function_name(c.before) for c in chosen[1]}
    unseen = {function_name(c.before): c.before for c in shuffled if function_name(c.before) not in known}
    write_whole(file, json.dumps({'train': chosen[0] + chosen[1], 'functions': list(unseen.values())[:16]}))
    return json.loads(file.read_text())


def train(accelerator, out, format):
    config = FinetuneConfig(SMOLLM2, format, edits=300, lr=1e-3, bf16=True)
    train_mutator([Change(*c) for c in collect(out)['train']], Sodarace.messages, config, out/format, accelerator)


def measure(accelerator, out, adapter, format, settings, kinds, file):
    "Shares of edits of walkers and of functions, and what they cost"
    model, domain, rng = load_model(adapter, dtype=torch.bfloat16), Sodarace(), np.random.default_rng(1)
    written = []
    sample = model.sample
    def counted(*args, **options):
        samples = sample(*args, **options)
        written.extend(len(s.tokens) for s in samples)
        return samples
    model.sample = counted
    archives = [replay(list(run.entries()), domain.axes) for run in genetic_runs(out, 100)]
    parents = []
    for k,archive in enumerate(archives):
        found = {c.item.id: (archive, c.item) for c in archive.sample(40, rng) if c.item.parent is not None} # without the seed program
        parents += list(found.values())[:11 if k else 10]

    def edited(task):
        kind, i = task
        written.clear()
        program = parents[i][1].program.rstrip('\n') if kind == 'walkers' else functions[i]
        messages = Sodarace.messages if kind == 'walkers' else {f'Changed {function_name(program)} function.': 1.}
        mutator, begin = DiffMutator(model, messages, format=format, **settings), perf_counter()
        proposals = mutator.propose(program, 16 if kind == 'walkers' else 8, [0, i])
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
    for kind in kinds:
        found = distributed_map(edited, [(kind, i) for i in range(len(parents if kind == 'walkers' else functions))], accelerator)
        rows = [row for _,rows in found for row in rows]
        result[kind] = {name: float(np.mean([r[name] for r in rows])) for name in rows[0]} | {'edits': len(rows), 'seconds on a core': sum(s for s,_ in found)}
    if accelerator.is_main_process: write_whole(file, json.dumps(result))
    domain.sandbox.close()


if __name__ == '__main__':
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for seed, iterations in ((0, 60), (100, 10)):
        for name in NAMES:
            start(EvolveConfig('sodarace', name, 'genetic', iterations, parents=1, children=32, seed=seed), out/f'runs/{name}-{seed}')
    collect(out)
    def measured(format, settings, *kinds, shipped=False):
        "A result, and accepted edits in a second of a core"
        file = out/f'{"shipped-" if shipped else ""}{format}-{"-".join(map(str, settings.values()))}.json'
        adapter = EDITS if shipped else str(out/format/'adapter')
        if not file.exists(): launch(measure, (out, adapter, format, settings, kinds, file), 2)
        result = json.loads(file.read_text())
        found = result['walkers']
        print({k: round(v, 3) for k,v in found.items()}, format, settings, 'shipped' if shipped else '', flush=True)
        return result, found['accepted']*found['edits']/found['seconds on a core']
    for format in MAX_TOKENS:
        if not (out/format/'adapter').exists(): launch(train, (out, format), 2)
    tried = [measured(format, SETTINGS[0], 'walkers', 'functions') for format in MAX_TOKENS]
    best = [result['format'] for result,_ in sorted(tried, key=lambda t: t[1])[-2:]]
    tried += [measured(format, settings, 'walkers') for format in best for settings in SETTINGS[1:]]
    ranked = [{k: result[k] for k in SETTINGS[0]} for result,_ in sorted(tried, key=lambda t: t[1]) if result['format'] == best[-1]]
    again = [SETTINGS[0]] + [settings for settings in ranked[:-3:-1] if settings != SETTINGS[0]]
    shipped = [measured(best[-1], settings, 'walkers', shipped=True)[0] for settings in again] if best[-1] == 'infill' else [] # its format
    training = {f: json.loads((out/f/'finetune.json').read_text()) for f in MAX_TOKENS}
    trained = {f: {'counts': t['counts'], 'packs': t['packs'], 'steps': len(t['log']), 'last': t['log'][-1]} for f,t in training.items()}
    OUT.write_text(json.dumps({'results': [result for result,_ in tried], 'shipped': shipped, 'training': trained}, indent=1) + '\n')
