"""How often does one mutation mend a program with several bugs? elm_nb/data/bugs.json

    elm pretrain --iterations 0 --bf16 --out runs/human
    elm pretrain --iterations 0 --bf16 --misspelled 600 --out runs/misspelled
    elm pretrain --iterations 0 --bf16 --misspelled 2400 --out runs/misspelled-more
    elm pretrain --iterations 0 --bf16 --format rewrite --out runs/rewrite
    elm pretrain --iterations 0 --bf16 --commits 2500 --git CLONE ... --out runs/commits
    python benchmarks/bugs.py runs/bugs human=runs/human/adapter misspelled=runs/misspelled/adapter \\
        more-misspelled=runs/misspelled-more/adapter rewrite=runs/rewrite/adapter \\
        commits=runs/commits/adapter untrained=smollm2-135m-instruct prompt=smollm2-135m-instruct \\
        accepted=smollm2-135m-edits

4-Parity with one to five bugs and Quadratic with one and two. As mutators with the message `Fixed bugs.`
models are asked by name, 1,000 times a point, or 250 times: the untrained one, the one that comes with the
package (`accepted`), and one that was trained on human edits and writes functions anew (`rewrite`); the
untrained one by the paper's prompt, too. Random mutation of the nodes of the expression tree tries 100,000
times, at several rates. What is not named stays as it is in the file; what the folder has is not measured
again. A model takes five to ten minutes on two cores, and its training about an hour.
"""
import itertools, json, re, sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from elm_nb.launch import launch, distributed_map
from elm_nb.language.model import load_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.search.run import write_whole
from elm_nb.search.sandbox import Sandbox

OUT = Path(__file__).parent.parent/'elm_nb/data/bugs.json'
SAMPLING = 1., 0.95 # temperature and top-p, however a model is asked
MESSAGE, TRIALS, RATES = 'Fixed bugs.', 100_000, (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
FEW = 'untrained', 'prompt', 'accepted', 'rewrite' # are asked 250 times

PARITY = '''def parity(b1, b2, b3, b4):
    """Return the parity of four bits: 0 if an even number of them is set, 1 if it is odd."""
    bit_sum = sum([b1, b2, b3, b4])
    return bit_sum % 2'''

QUADRATIC = '''def quadratic(a, b, c, x):
    """Return the value at x of the quadratic polynomial with coefficients a, b and c."""
    return a * x ** 2 + b * x + c'''

def parity_with(bugs):
    "Four bugs each name a variable that does not exist, the fifth is of another kind"
    names = ', '.join(f'{"c" if k <= bugs else "b"}{k}' for k in range(1, 5))
    return PARITY.replace('[b1, b2, b3, b4]', f'[{names}]').replace('% 2', '% 3' if bugs > 4 else '% 2')

POINTS = {('4-Parity', k): parity_with(k) for k in range(1, 6)}
POINTS |= {('Quadratic', k): QUADRATIC.replace(' + ', ' - ', k) for k in (1, 2)}
INPUTS = {'4-Parity': list(itertools.product((0, 1), repeat=4)),
    'Quadratic': [(2, 3, 5, 7), (1, -4, 6, 3), (-3, 2, -8, 5), (4, 0, 9, -2)]}
ANSWERS = {'4-Parity': [sum(bits) % 2 for bits in INPUTS['4-Parity']],
    'Quadratic': [a*x*x + b*x + c for a,b,c,x in INPUTS['Quadratic']]}
FUNCTIONS = {'4-Parity': 'parity', 'Quadratic': 'quadratic'}


def is_right(program, problem, sandbox):
    "Does a program give the right answer for all inputs?"
    call = f'def _answers(): return [{FUNCTIONS[problem]}(*given) for given in {INPUTS[problem]}]'
    found = sandbox.run(program, call, '_answers')
    return found.status == 'ok' and found.value == ANSWERS[problem]


# Random mutation of nodes: an expression is a list of operators and terminals in the order of writing
EXPRESSIONS = {'4-Parity': ['b1', '+', 'b2', '+', 'b3', '+', 'b4', '%', '2.'],
    'Quadratic': ['a', '*', 'x', '**', '2.', '+', 'b', '*', 'x', '+', 'c']}
TEXTS = {'4-Parity': '({} {} {} {} {} {} {}) {} {}', 'Quadratic': '{} {} {} {} {} {} {} {} {} {} {}'}
OPERATORS = ['+', '-', '*', '%', '**']
NUMBERS = ['0.', '1.', '2.', '3.'] # floats, which overflow instead of growing
TERMINALS = {'4-Parity': [f'{l}{k}' for l in 'bc' for k in range(1, 5)] + NUMBERS,
    'Quadratic': list('abcx') + NUMBERS}

def with_bugs(problem, bugs):
    "The nodes of an expression with bugs"
    nodes = list(EXPRESSIONS[problem])
    if problem == 'Quadratic': return [*nodes[:5], '-', *nodes[6:9], '-' if bugs > 1 else '+', nodes[10]]
    for k in range(min(bugs, 4)): nodes[2*k] = f'c{k+1}'
    return nodes[:-1] + ['3.' if bugs > 4 else '2.']

def computes(nodes, problem):
    "Is an expression right for all inputs?"
    names = {'4-Parity': ('b1', 'b2', 'b3', 'b4'), 'Quadratic': tuple('abcx')}[problem]
    code = compile(TEXTS[problem].format(*nodes), problem, 'eval')
    def value(given): return eval(code, {'__builtins__': {}}, dict(zip(names, map(float, given))))
    try: return all(value(given) == answer for given,answer in zip(INPUTS[problem], ANSWERS[problem]))
    except (NameError, ZeroDivisionError, OverflowError, TypeError): return False

def genetic(problem, bugs, rate, rng):
    "How many trials are right, when each node is replaced by another of its kind with probability `rate`"
    nodes, known, right = with_bugs(problem, bugs), {}, 0
    changes = rng.random((TRIALS, len(nodes))) < rate
    for change in changes:
        child = list(nodes)
        for i in np.flatnonzero(change):
            kind = OPERATORS if nodes[i] in OPERATORS else TERMINALS[problem]
            others = [o for o in kind if o != nodes[i]]
            child[i] = others[rng.integers(len(others))]
        key = tuple(child)
        if key not in known: known[key] = computes(child, problem)
        right += known[key]
    return right


def by_prompt(model, program, n, seed):
    "Children by the paper's form of prompt, whatever they call the function"
    name = re.match(r'def \w+', program)[0]
    prompt = f'# A buggy implementation\n{program}\n\n# {MESSAGE}\ndef'
    def inside(line): return not line or line.startswith(' ')
    def ended(text): return not all(inside(line) for line in text.split('\n')[1:])
    def child(sample):
        head, *body = ('def' + sample.text).split('\n')
        return '\n'.join([re.sub(r'^def \w+', name, head), *itertools.takewhile(inside, body)]).rstrip()
    return [child(s) for s in model.sample(prompt, n, 128, *SAMPLING, stop=ended, seed=seed)]

def measure(workers, name, model_name, format, samples, file):
    "Ask a model at every point; without a format by prompt"
    model, sandbox = load_model(model_name, workers.device, torch.bfloat16), Sandbox()
    size, result = 50, []
    mutator = DiffMutator(model, {MESSAGE: 1.}, (), *SAMPLING, format=format) if format else None
    def batch(task):
        program, start = task
        if not mutator: return by_prompt(model, program, size, start)
        return [p.applied.source for p in mutator.propose(program, size, [0, start])]
    for (problem,bugs),program in POINTS.items():
        tasks = [(program, start) for start in range(0, samples, size)]
        children = [c for part in distributed_map(batch, tasks, workers) for c in part]
        verdicts = {c: is_right(c, problem, sandbox) for c in dict.fromkeys(children)}
        count = Counter(children)
        wrong = [c for c,_ in count.most_common() if not verdicts[c] and c != program]
        right = sum(n for c,n in count.items() if verdicts[c])
        result.append({'problem': problem, 'bugs': bugs, 'right': right, 'samples': samples,
            'unchanged': count[program], 'often wrong': wrong[:3]})
        if workers.is_first: print(name, *list(result[-1].values())[:5], flush=True)
    sandbox.close()
    found = {'model': model_name, 'rows': result}
    if workers.is_first: write_whole(file, json.dumps(found))
    workers.wait_for_everyone()


def random_mutation():
    "The genetic operator at every point and rate"
    rows = []
    for (problem,bugs),(i,rate) in itertools.product(POINTS, enumerate(RATES)):
        right = genetic(problem, bugs, rate, np.random.default_rng([bugs, i]))
        rows.append({'problem': problem, 'bugs': bugs, 'rate': rate, 'right': right, 'samples': TRIALS})
    return rows


def rows_of(name, model, folder):
    "A model at every point, unless the folder has it already"
    file, samples = folder/f'{name}.json', 250 if name in FEW else 1000
    format = {'prompt': None, 'rewrite': 'rewrite'}.get(name, 'infill')
    if not file.exists(): launch(measure, (name, model, format, samples, file), 2)
    found = json.loads(file.read_text())
    if found['model'] == model: return found['rows']
    raise SystemExit(f'{file} was made with another model; choose another folder')


def made_so_far():
    "What the file has"
    made = json.loads(OUT.read_text()) if OUT.exists() else {'results': {}, 'commands': {}}
    programs = [[*point, program] for point,program in POINTS.items()]
    if made.setdefault('programs', programs) != programs: raise SystemExit(f'{OUT} is of other programs')
    return made | {'sampling': SAMPLING}


if __name__ == '__main__':
    folder, *asked = sys.argv[1:]
    wrong = [argument for argument in asked if '=' not in argument]
    if wrong: raise SystemExit(f'models are given as name=model; got {", ".join(wrong)}')
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = made_so_far()
    if 'genetic' not in made['results']: made['results']['genetic'] = random_mutation()
    for name,_,model in (argument.partition('=') for argument in asked):
        made['results'][name] = rows_of(name, model, Path(folder))
        made['commands'][name] = f'python benchmarks/bugs.py {folder} {name}={model}'
    write_whole(OUT, json.dumps(made, indent=1) + '\n')
