"""Compare the edit formats: elm_nb/data/formats.json

    python benchmarks/formats.py runs/formats

The default model gets an adapter for each format, trained on the same 300 edits that all of them can say
(those of a fifth of the programs are held out), half of them of walkers, accepted in genetic runs, and
half of functions, between releases of packages. Then it makes 512 edits of 32 walkers from other runs,
and 128 of 16 other functions. The two formats with the most accepted edits in a minute edit the walkers
with other settings of sampling, too. Last, the adapter that comes with the package edits the walkers.
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
from elm_nb.language.finetune import FinetuneConfig, train_mutator
from elm_nb.language.lessons import LeftOut, as_text, edits_of
from elm_nb.language.human_edits import Change, describe, mine
from elm_nb.launch import launch, distributed_map
from elm_nb.language.model import EDITS, SMOLLM2, load_model
from elm_nb.language.mutator import MAX_TOKENS, DiffMutator
from elm_nb.search.run import Run, replay, write_whole

NAMES = 'square', 'cppn_fixed', 'cppn_mutable'
OUT = Path(__file__).parent.parent/'elm_nb/data/formats.json'
SETTINGS = [dict(temperature=t, top_p=p) for t,p in ((1., 0.95), (1., 1.), (0.7, 0.95))]


def function_name(program): return ast.parse(program).body[0].name


def can_be_said(change, format, model, rng):
    "Is an edit something to learn from in this format?"
    try: as_text(change, model, format, FinetuneConfig.longest, rng)
    except LeftOut: return False
    return True


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
    programs = dict.fromkeys(accepted[i].before for i in rng.permutation(len(accepted)))
    order = {before: i for i,before in enumerate(programs)} # one program after the other
    walkers = [c._replace(message=describe(c.before, c.after, 'make_walker'))
        for c in sorted(accepted, key=lambda c: order[c.before])]
    human = [c for changes in mine(bugs=0, parameters=0).human.values() for c in changes]
    functions = [c for c in human if 4 <= c.before.count('\n') < 20]
    shuffled = [functions[i] for i in rng.permutation(len(functions))]
    def said(change): return all(can_be_said(change, format, model, rng) for format in MAX_TOKENS)
    chosen = [list(islice(filter(said, changes), 150)) for changes in (walkers, shuffled)]
    known = {function_name(c.before) for c in chosen[1]}
    unseen = {function_name(c.before): c.before for c in shuffled if function_name(c.before) not in known}
    write_whole(file, json.dumps({'train': chosen[0] + chosen[1], 'functions': list(unseen.values())[:16]}))
    return json.loads(file.read_text())


def train(workers, out, format):
    config = FinetuneConfig(SMOLLM2, format, edits=300, lr=1e-3, bf16=True)
    changes = [Change(*c) for c in collect(out)['train']]
    train_mutator(changes, Sodarace.messages, config, out/format, workers)


def is_accepted(archive, evaluation, proposal):
    "Would the walker's own map take a child?"
    verdict, = copy.deepcopy(archive).add([evaluation.fitness], [evaluation.behavior], [proposal])
    return verdict in ('new', 'improved')


def parses(program):
    try: return bool(ast.parse(program))
    except (SyntaxError, ValueError): return False


def measure(workers, out, adapter, format, settings, kinds, file):
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
        sampled = [c.item for c in archive.sample(40, rng) if c.item.parent is not None] # without the seed
        found = {entry.id: (archive, entry) for entry in sampled}
        parents += list(found.values())[:11 if k else 10]

    def walker(i, p, row):
        "What came of an edit of a walker"
        archive, parent = parents[i]
        e = domain.evaluate(p.applied.source) if row['changed'] else None
        row['runnable'] = bool(e) and e.status == 'ok' and e.fingerprint != parent.fingerprint
        row['accepted'] = row['runnable'] and is_accepted(archive, e, p)

    def edited(task):
        kind, i = task
        written.clear()
        program = parents[i][1].program.rstrip('\n') if kind == 'walkers' else functions[i]
        messages = Sodarace.messages
        if kind == 'functions': messages = {f'Changed {function_name(program)} function.': 1.}
        mutator, begin = DiffMutator(model, messages, format=format, **settings), perf_counter()
        proposals = mutator.propose(program, 16 if kind == 'walkers' else 8, [0, i])
        seconds, rows = perf_counter() - begin, []
        for p,tokens in zip(proposals, written):
            status = p.applied.status
            row = {'well-formed': status != 'malformed', 'applied': status not in ('malformed', 'no_match'),
                'changed': p.applied.source != program}
            if kind == 'walkers': walker(i, p, row)
            else: row['runnable'] = row['changed'] and parses(p.applied.source)
            rows.append({**row, 'tokens': tokens})
        return seconds, rows

    functions, result = collect(out)['functions'], {'format': format, **settings}
    for kind in kinds:
        n = len(parents if kind == 'walkers' else functions)
        found = distributed_map(edited, [(kind, i) for i in range(n)], workers)
        rows = [row for _,rows in found for row in rows]
        result[kind] = {name: float(np.mean([r[name] for r in rows])) for name in rows[0]}
        result[kind] |= {'edits': len(rows), 'seconds on a core': sum(seconds for seconds,_ in found)}
    if workers.is_first: write_whole(file, json.dumps(result))
    domain.sandbox.close()


def measured(out, format, settings, *kinds, shipped=False):
    "A result, measured unless it is there"
    file = out/f'{"shipped-" if shipped else ""}{format}-{"-".join(map(str, settings.values()))}.json'
    adapter = EDITS if shipped else str(out/format/'adapter')
    if not file.exists(): launch(measure, (out, adapter, format, settings, kinds, file), 2)
    result = json.loads(file.read_text())
    shares = {name: round(value, 3) for name,value in result['walkers'].items()}
    print(shares, format, settings, 'shipped' if shipped else '', flush=True)
    return result


def speed(result):
    "Accepted edits of walkers in a second of a core"
    found = result['walkers']
    return found['accepted']*found['edits']/found['seconds on a core']


def course(folder):
    "How a training went"
    card = json.loads((folder/'finetune.json').read_text())
    log = card['log']
    return {'counts': card['counts'], 'packs': card['packs'], 'steps': len(log), 'last': log[-1]}


if __name__ == '__main__':
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for seed,iterations in ((0, 60), (100, 10)):
        for name in NAMES:
            config = EvolveConfig('sodarace', name, 'genetic', iterations, parents=1, children=32, seed=seed)
            start(config, out/f'runs/{name}-{seed}')
    collect(out)
    for format in MAX_TOKENS:
        if not (out/format/'adapter').exists(): launch(train, (out, format), 2)
    results = [measured(out, format, SETTINGS[0], 'walkers', 'functions') for format in MAX_TOKENS]
    best = [result['format'] for result in sorted(results, key=speed)[-2:]]
    results += [measured(out, format, settings, 'walkers') for format in best for settings in SETTINGS[1:]]
    shipped = [] # it writes infills only
    if best[-1] == 'infill': shipped = [measured(out, 'infill', SETTINGS[0], 'walkers', shipped=True)]
    training = {format: course(out/format) for format in MAX_TOKENS}
    found = {'results': results, 'shipped': shipped, 'training': training}
    OUT.write_text(json.dumps(found, indent=1) + '\n')
