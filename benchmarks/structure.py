"""Which mutator builds structure? elm_nb/data/structure.json

    python benchmarks/structure.py name [adapter [setting=value ...]]

Makes 16 edits of each of 32 walkers, 8 from each seed program, which no mutator has learned from, and counts
those that are valid, that add joints, that add loops, functions or calls of functions of its own, and that
the map of all walkers of that seed program would accept. Settings are `messages` (domain or wishes),
`lines` of an answer, and `keep`, how often the beginning of a line stays. Without an adapter the operators of
a variant of `benchmarks/wall.py` are measured. A name that is there is measured anew.

`three trainings` is the adapter that comes with the package, `first training` and `two trainings` what it was
before, and `adapter of numbers` the former one, measured when answers had four lines. `no wish named` and
`popular parents` are second trainings that were worse at adding joints: without `--wish`, and from edits of
the programs that have the most of them.
"""
import ast, gzip, json, sys
from collections import Counter
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter

import numpy as np
import torch
from filelock import FileLock
from wall import variant

from elm_nb.language import mutator as mutator_module
from elm_nb.language.model import load_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.language.wishes import Wishes
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.map_elites import GridArchive
from elm_nb.search.run import write_whole
from elm_nb.sodarace.domain import Sodarace

DATA = Path(__file__).parent.parent/'elm_nb/data'
OUT = DATA/'structure.json'
PARENTS, CHILDREN, TOGETHER = 8, 16, 4


def walkers():
    "Programs by seed program"
    found = {}
    for w in json.loads(gzip.decompress((DATA/'walkers.json.gz').read_bytes())):
        if w['terrain'] == 'flat': found.setdefault(w['seed'], []).append(w['program'].rstrip('\n'))
    return found


def parts(program):
    "Loops, functions, and calls of these"
    nodes = list(ast.walk(ast.parse(program)))
    own = {n.name for n in nodes if isinstance(n, ast.FunctionDef)}
    loops = sum(isinstance(n, (ast.For, ast.While, ast.comprehension)) for n in nodes)
    return loops, len(own), sum(isinstance(n, ast.Call) and getattr(n.func, 'id', '') in own for n in nodes)


class Fixed(Wishes):
    "Wishes of which none is known to be more apt than another"
    def weights(self, program): return dict.fromkeys(self.wishes, 1.)


def diff_mutator(domain, adapter, messages='domain', lines=mutator_module.MAX_LINES,
        keep=mutator_module.KEEP_PREFIX):
    mutator_module.MAX_LINES, mutator_module.KEEP_PREFIX = int(lines), float(keep)
    mutator_module.MAX_TOKENS['infill'] = 28*int(lines)
    messages = {'domain': domain.messages, 'wishes': Fixed(domain)}[messages]
    return DiffMutator(load_model(adapter, dtype=torch.bfloat16), messages)


def proposals(mutator, parents, mates):
    "For each parent its children"
    if isinstance(mutator, DiffMutator):
        asked = [(program, CHILDREN, [0, k]) for k,program in enumerate(parents)]
        parts = [asked[k:k+TOGETHER] for k in range(0, len(asked), TOGETHER)]
        return [found for part in parts for found in mutator.propose_all(part)]
    rng = np.random.default_rng(0)
    drawn = [[str(p) for p in rng.choice(mates, mutator.mates)] for _ in parents]
    return [mutator.propose(program, CHILDREN, [0, k], drawn[k]) for k,program in enumerate(parents)]


def said(domain, parent, before, child, archive, counts):
    "Count what became of an edit"
    counts['edits'] += 1
    if child == parent: return
    counts['changed'] += 1
    after = domain.evaluate(child)
    if after.status != 'ok' or after.fingerprint == before.fingerprint: return
    niche, = archive.niche([after.behavior])
    known = archive.champions.get(int(niche))
    joints = after.behavior[2] - before.behavior[2]
    more = any(new > old for new,old in zip(parts(child), parts(parent)))
    counts.update({'valid': 1, 'more joints': joints > 0, 'two joints or more': joints > 1,
        'more structure': more, 'opens a niche': not known,
        'accepted': not known or after.fitness > known.fitness})


def measured(mutator, domain):
    "Shares of the edits, and how many a second were written"
    counts, seconds = Counter(), 0.
    for programs in walkers().values():
        archive = GridArchive(domain.axes)
        for e in map(domain.evaluate, programs):
            if e.status == 'ok': archive.add([e.fitness], [e.behavior], [None])
        order = np.random.default_rng(5).permutation(len(programs))
        parents = [programs[i] for i in order[:PARENTS]]
        begun = perf_counter()
        found = proposals(mutator, parents, programs)
        seconds += perf_counter() - begun
        for parent,children in zip(parents, found):
            before = domain.evaluate(parent)
            for p in children: said(domain, parent, before, p.applied.source, archive, counts)
    return dict(counts) | {'edits a second': round(counts['edits']/seconds, 1)}


if __name__ == '__main__':
    name, *rest = sys.argv[1:]
    domain = Sodarace()
    mutator = GeneticMutator(variant(name)[0]) if not rest else \
        diff_mutator(domain, rest[0], **dict(r.split('=') for r in rest[1:]))
    row = {'settings': rest[1:], **measured(mutator, domain)}
    with FileLock(Path(gettempdir(), f'{OUT.name}.lock')):
        rows = json.loads(OUT.read_text()) if OUT.exists() else {}
        write_whole(OUT, json.dumps(rows | {name: row}, indent=1) + '\n')
    print(name, row)
    domain.sandbox.close()
