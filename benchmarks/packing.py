"""How many edits a minute can be learned, packed and one by one? elm_nb/data/packing.json

    python benchmarks/packing.py

Accepted edits of walkers from a genetic run with 32 children of each parent, in packs of 1,024 tokens
and with one prompt an edit. One process of one thread; the two take turns, three times. Takes about five
minutes.
"""
import json, tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, start
from elm_nb.language.lessons import edits_of, lessons
from elm_nb.launch import Workers
from elm_nb.language.adapter import add_lora
from elm_nb.language.model import load_model
from elm_nb.search.run import Run
from elm_nb.language.training import _loss, pack, trainable_parameters, update

OUT = Path(__file__).parent.parent/'elm_nb/data/packing.json'

def edits_per_minute(model, optimizer, packs):
    "One step on each pack"
    begin = perf_counter()
    for p in packs:
        def loss(): return _loss(model, [p], p.loss_terms, Workers())
        update(optimizer, [loss], Workers())
    return 60*sum(p.texts for p in packs)/(perf_counter() - begin)

def compared(changes, dtype):
    "Packed and one by one, with numbers of a kind"
    model = add_lora(load_model(dtype=getattr(torch, dtype)))
    optimizer = torch.optim.AdamW(trainable_parameters(model.model), lr=1e-4)
    learned = lessons(changes, model, Sodarace.messages, edits=2000).learned
    all_packs, singles = (pack(learned, size) for size in (1024, 1))
    def some(packs, n): # from all of them
        return [packs[i] for i in np.linspace(0, len(packs)-1, 3*n).astype(int)]
    chosen = some(all_packs, 3), some(singles, 8)
    turns = [[edits_per_minute(model, optimizer, packs[k::3]) for packs in chosen] for k in range(3)]
    packed, single = (sorted(t)[1] for t in zip(*turns))
    said = f'packed {packed:6.1f} edits/min, one by one {single:6.1f}: {packed/single:.1f} times'
    print(f'{dtype:9}', said, flush=True)
    mean = sum(p.texts for p in all_packs)/len(all_packs)
    return {'numbers': dtype, 'packed': packed, 'one by one': single, 'edits in a pack': mean}

if __name__ == '__main__':
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        start(EvolveConfig(mutator='genetic', iterations=60, parents=1, children=32), f'{scratch}/run', 2)
        with Run(f'{scratch}/run') as run: changes = edits_of(run)
    rows = [compared(changes, dtype) for dtype in ('float32', 'bfloat16')]
    OUT.write_text(json.dumps(rows, indent=1) + '\n')
