"""What does a machine with a GPU do in a second, and how long would the paper's scale take on it?

    python benchmarks/gpu.py OUT [--scale tiny] [--rows 32,128,512] [--programs 512] [--model NAME]

Measures, one after the other: genetic evolution with all cores, mutation by the language model with so many
children at once, fine-tuning on edits, training of the default model on programs, reinforcement learning of
that model, and a whole pipeline of a scale. From these parts it works out what the scale `paper` takes,
if walkers cost all the time what they do at the beginning.
Everything is written to the folder OUT, the figures to OUT/gpu.json after each part; what is there is not
measured again. Needs no network if the default model is in the cache. Runs without a GPU, too, and slowly.
"""
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch
from fastcore.script import call_parse

from elm_nb.invention.conditional import ValueNetwork, make_policy
from elm_nb.invention.dataset import distill
from elm_nb.invention.generator import load_generator, train_generator
from elm_nb.invention.reinforce import reinforce
from elm_nb.language.finetune import FinetuneConfig, finetune
from elm_nb.language.model import EDITS, SMOLLM2, load_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.launch import Workers, count_evaluators
from elm_nb.pipeline import SCALES, pipeline
from elm_nb.search.run import Run
from elm_nb.sodarace.domain import Sodarace
from elm_nb.sodarace.terrain import TERRAINS
from elm_nb.stage1 import EvolveConfig, start

CHILDREN, LEARNED = 8, 100_000 # programs of stage 2, for which the paper's scale is worked out


def timed(work):
    "Seconds, on the GPU, too"
    begun = perf_counter()
    work()
    if torch.cuda.is_available(): torch.cuda.synchronize()
    return perf_counter() - begun


def anew(folder):
    "The folder of a part, without what is left of one that was stopped"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def genetic(out, programs):
    "Evaluations a second, all cores"
    scale = SCALES['paper']
    config = EvolveConfig(mutator='genetic', seed_program='cppn_fixed', parents=scale.parents,
        children=scale.children, options={'starts': scale.starts}, iterations=max(4, programs//32))
    start(config, anew(out/'run'))
    with Run(out/'run') as run: seconds = [row[-1] for row in run.history()[2:]]
    return {'evaluations a second': len(seconds)*config.parents*config.children/sum(seconds)}


def mutation(out, rows, device):
    "Children a second, by how many are written at once"
    mutator = DiffMutator(load_model(EDITS, device), Sodarace.messages)
    with Run(out/'run') as run: programs = [e.program for e in run.entries() if e.accepted]
    mutator.propose(programs[0], 2, [0])
    found = {}
    for n in rows:
        asked = [(programs[-1-i], CHILDREN, [1, i]) for i in range(max(n//CHILDREN, 1))]
        found[n] = len(asked)*CHILDREN/timed(lambda asked=asked: mutator.propose_all(asked))
    return {'children a second': found}


def learning(out, programs, workers):
    "Edits a second"
    config = FinetuneConfig(edits=programs, epochs=1.)
    folder = anew(out/'learning')
    seconds = timed(lambda: finetune([out/'run'], Sodarace(), config, folder, workers))
    counts = json.loads((folder/'finetune.json').read_text())['counts']
    return {'edits a second': counts['used']/seconds}


def generator(out, programs, model, workers):
    "Programs a second"
    dataset = distill([out/'run'], threshold=0.1)
    dataset = replace(dataset, train=dataset.train.slice(0, programs))
    config = SCALES['paper'].generator.with_model(model)
    config = replace(config, epochs=1., checks=1, batch=min(64, programs//2))
    seconds = timed(lambda: train_generator(dataset, config, anew(out/'generator'), workers))
    return {'programs a second': len(dataset.train)/seconds}


def invention(out, programs, workers):
    "Programs a second"
    generator = load_generator(out/'generator', workers.device, trainable=True)
    scale = SCALES['paper']
    domains = {TERRAINS[name]: Sodarace(name, starts=scale.starts) for name in scale.terrains}
    policy = make_policy(generator, list(domains))
    config = replace(scale.reinforce, iterations=2, samples=programs, batch=min(256, programs))
    seconds = timed(lambda: reinforce(policy, ValueNetwork(policy), generator, domains, config,
        workers=workers))
    return {'programs a second': 2*programs/seconds}


def whole(out, scale):
    "Seconds of each stage"
    pipeline(SCALES[scale], anew(out/scale))
    return json.loads((out/scale/'seconds.json').read_text())


def paper(found):
    "Hours that the parts of the scale `paper` take on this machine"
    scale = SCALES['paper']
    runs, each = len(scale.seed_programs)*scale.runs, scale.parents*scale.children
    children = max(found['mutation']['children a second'].values())
    evaluations = found['genetic']['evaluations a second']
    iterations = runs*scale.rounds*scale.evolve
    learned_edits = runs*(scale.rounds - 1)*scale.finetune.edits*scale.finetune.epochs
    learned = scale.repeats*scale.reinforce.iterations*scale.reinforce.samples
    return {
        'genetic evolution': runs*scale.genetic*each/evaluations/3600,
        'evolution by the language model': iterations*each/min(children, evaluations)/3600,
        'fine-tuning': learned_edits/found['learning']['edits a second']/3600,
        f'stage 2, {LEARNED:,} programs':
            LEARNED*scale.generator.epochs/found['generator']['programs a second']/3600,
        'stage 3': learned/found['invention']['programs a second']/3600}


def machine():
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    return {'device': device, 'cores': len(os.sched_getaffinity(0)), 'torch': torch.__version__}


@call_parse
def main(
    out:str, # Folder for all that is made
    scale:str='tiny', # Of the whole pipeline
    rows:str='32,128,512', # Children that the language model writes at once
    programs:int=512, # To learn from, and in an iteration of reinforcement learning
    model:str=SMOLLM2 # Of stages 2 and 3; a small one to try this script without a GPU
):
    out, sizes = Path(out), [int(n) for n in rows.split(',')]
    out.mkdir(parents=True, exist_ok=True)
    file = out/'gpu.json'
    asked = {'scale': scale, 'rows': rows, 'programs': programs, 'model': model}
    found = json.loads(file.read_text()) if file.exists() else {'machine': machine(), 'asked': asked}
    if found['asked'] != asked:
        raise SystemExit(f'{out} was measured with {found["asked"]}; choose another OUT')
    with Workers(count_evaluators()) as workers:
        parts = {
            'genetic': lambda: genetic(out, programs),
            'mutation': lambda: mutation(out, sizes, workers.device),
            'learning': lambda: learning(out, programs, workers),
            'generator': lambda: generator(out, programs, model, workers),
            'invention': lambda: invention(out, programs, workers),
            'pipeline': lambda: whole(out, scale),
            'hours at the scale of the paper': lambda: paper(found)}
        for name, measure in parts.items():
            if name not in found: found[name] = measure()
            print(name, found[name], flush=True)
            file.write_text(json.dumps(found, indent=1) + '\n')
