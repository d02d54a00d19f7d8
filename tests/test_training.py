"Training, adapters and policies where the pages do not look: several processes, several architectures, adapters in stages 2 and 3, bad input"
import json

import pyarrow as pa
import pytest
import torch

from elm_nb.conditional import ConditionalError, ValueNetwork, load_policy, make_policy, save_policy
from elm_nb.dataset import Dataset
from elm_nb.domain import CPPN_FIXED, SEEDS, SQUARE, Evaluation
from elm_nb.inventor import Inventor, InventorConfig, InventorError, load_inventor, new_model, score, train_inventor, train_tokenizer
from elm_nb.launch import launch, processes_now
from elm_nb.model import ModelError, load_model, save_tiny_model
from elm_nb.reinforce import ReinforceConfig, reinforce
from elm_nb.terrain import flat, left_wall, right_wall, tunnel
from elm_nb.training import TrainConfig, TrainingError, Text, load_checkpoint, train, trained, update


class Lengths:
    "The longer, the better"
    axes, seeds, messages = {'length': (0, 40, 8)}, {}, {}
    def evaluate(self, program): return Evaluation('ok', len(program), (len(program),), program)


def dataset(programs, held_out=('x = 1', 'x = 2')): return Dataset(*(pa.table({'program': list(p)}) for p in (programs, held_out)), {})


def texts_of(model, programs): return [Text((0, *model.tokenizer.encode(p), 0), 1) for p in programs]


def _train(accelerator, folder, micro_batch):
    model = load_model(f'{folder}/tiny')
    texts = texts_of(model, sorted({line for p in SEEDS.values() for line in p.split('\n') if line}))
    log = train(model, texts[2:], texts[:2], TrainConfig(steps=6, batch=16, micro_batch=micro_batch, check_every=3), None, accelerator)
    name = f'{folder}/{accelerator.num_processes}-{micro_batch}.pt'
    if accelerator.is_main_process: torch.save({'weights': [p.detach() for p in model.model.parameters()], 'log': [tuple(l) for l in log]}, name)


@pytest.mark.parametrize('micro_batch, tolerance', [(8, 0), (4, 1e-5)])
def test_one_process_or_two(micro_batch, tolerance, tmp_path):
    "Two micro-batches have one sum; with four, the order of adding shows in the last bits"
    save_tiny_model(tmp_path/'tiny')
    for processes in (1, 2): launch(_train, (str(tmp_path), micro_batch), processes)
    one, two = (torch.load(tmp_path/f'{n}-{micro_batch}.pt') for n in (1, 2))
    assert max((a - b).abs().max() for a, b in zip(one['weights'], two['weights'])) <= tolerance
    assert [l[1] for l in one['log']] == [l[1] for l in two['log']]
    assert all(abs(a[2] - b[2]) <= tolerance for a, b in zip(one['log'], two['log']))


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(tmp_path):
    model = load_model(save_tiny_model(tmp_path/'tiny'))
    texts = texts_of(model, ['x = 1', 'y = 2', 'z = 3', 'u = 4'])
    config = TrainConfig(steps=20, batch=2, micro_batch=1, check_every=5)
    compute, calls = model.log_probabilities, []

    def broken(*args):
        calls.append(1)
        return compute(*args)*(float('nan') if len(calls) > 25 else 1)
    model.log_probabilities = broken
    with pytest.raises(TrainingError, match='the loss is nan'): train(model, texts[1:], texts[:1], config, tmp_path)
    state = load_checkpoint(tmp_path/'checkpoint.pt', {})
    assert len(state['log']) in (5, 10) and all(p.isfinite().all() for p in state['parameters'])
    del model.log_probabilities
    assert len(train(model, texts[1:], texts[:1], config, tmp_path)) == 20


def test_checkpoints_that_do_not_fit(tmp_path):
    model = load_model(save_tiny_model(tmp_path/'tiny'))
    texts = texts_of(model, ['x = 1', 'y = 2'])
    train(model, texts, texts, TrainConfig(steps=1), tmp_path)
    with pytest.raises(TrainingError, match='lr is 0.001 there and 0.01 here'): train(model, texts, texts, TrainConfig(steps=1, lr=0.01), tmp_path)
    (tmp_path/'checkpoint.pt').write_bytes(b'half a checkpoint')
    with pytest.raises(TrainingError, match='is damaged'): train(model, texts, texts, TrainConfig(steps=1), tmp_path)
    for wrong in (dict(steps=0), dict(batch=0), dict(lr=0.)):
        with pytest.raises(TrainingError, match=next(iter(wrong))): TrainConfig(**wrong)


def test_update_is_plain_gradient_descent():
    "Against torch's own backward pass over the whole batch"
    torch.manual_seed(0)
    one, two = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)
    two.load_state_dict(one.state_dict())
    x = torch.randn(6, 4)
    update(torch.optim.SGD(one.parameters(), 0.1), [lambda i=i: one(x[i:i+2]).square().sum()/6 for i in (0, 2, 4)], processes_now(), max_norm=1e9)
    two(x).square().mean().backward()
    for a, b in zip(one.parameters(), two.parameters()): assert torch.allclose(a, b - 0.1*b.grad, atol=1e-6)


def test_adapters_that_do_not_fit(tmp_path):
    with pytest.raises(ModelError, match='holds no adapter'):
        (tmp_path/'bad').mkdir()
        (tmp_path/'bad'/'base.json').write_text('{"model": 3')
        load_model(str(tmp_path/'bad'))
    with pytest.raises(ModelError, match='is no folder here'):
        (tmp_path/'bad'/'base.json').write_text(json.dumps({'model': str(tmp_path/'gone'), 'fingerprint': ''}))
        load_model(str(tmp_path/'bad'))


@pytest.mark.parametrize('rank', [0, 4])
def test_a_pretrained_model_in_stages_2_and_3(rank, tmp_path):
    "By LoRA or with all weights: what was trained is kept, the rest stays as it was, and a folder holds it all"
    base = save_tiny_model(tmp_path/'tiny')
    programs = [f'x = {i}' for i in range(20)]
    config = InventorConfig(base, rank=rank, longest=12, passes=8., batch=5, micro_batch=5, lr=1e-2)
    log = train_inventor(dataset(programs), config, tmp_path/'inventor')
    assert log[-1].held_out < (0.95 if rank else 0.5)*log[0].loss
    before = load_model(base, trainable=True).model.state_dict()
    inventor = load_inventor(tmp_path/'inventor', trainable=True)
    weights = [p for p in inventor.language_model.model.parameters()]
    assert (len(trained(inventor.language_model.model)) < len(weights)) == (rank > 0)
    assert inventor.sample(3, seed=1) == load_inventor(tmp_path/'inventor', trainable=True).sample(3, seed=1)
    merged = [s.text for s in load_inventor(tmp_path/'inventor').sample(8, seed=1, temperature=0)]
    assert merged == [s.text for s in inventor.sample(8, seed=1, temperature=0)]

    reference, domains = inventor.sample(4, seed=2), {left_wall(): Lengths(), right_wall(): Lengths()}
    policy = make_policy(inventor, list(domains), 'resnet')
    value = ValueNetwork(policy)
    reinforce(policy, value, inventor, domains, ReinforceConfig(iterations=2, samples=8, batch=4, micro_batch=2, lr=1e-2, scale=10.))
    assert inventor.sample(4, seed=2) == reference
    if rank:
        weights = policy.inventor.language_model.model.state_dict().items()
        kept = {n.replace('.base_layer', '').removeprefix('base_model.model.'): w for n, w in weights if 'lora_' not in n}
        assert all((w == before[n]).all() for n, w in kept.items()) and len(kept) == len(before)
    save_policy(policy, tmp_path/'policy', value)
    again, value_again = load_policy(tmp_path/'policy', trainable=True)
    samples = policy.invent(tunnel(), 4, seed=3)
    assert again.invent(tunnel(), 4, seed=3) == samples != inventor.sample(4, seed=3)
    terrains, tokens = [tunnel()]*4, [s.tokens for s in samples]
    assert torch.allclose(value(terrains, tokens), value_again(terrains, tokens), atol=1e-6)


def test_a_policy_of_another_set_or_none(tmp_path):
    inventor = Inventor(new_model('0.1M', train_tokenizer([SQUARE])), 10)
    with pytest.raises(ConditionalError, match="no code for the terrain 'tunnel'"): make_policy(inventor, [flat()]).invent(tunnel(), 1)
    with pytest.raises(ConditionalError, match='there are codes, resnet and resnet50'): make_policy(inventor, [flat()], 'vit')
    with pytest.raises(ConditionalError, match='holds no policy'): load_policy(tmp_path)
    with pytest.raises(InventorError, match='holds no trained inventor'): load_inventor(tmp_path)


def test_longer_programs_are_counted(tmp_path):
    train_inventor(dataset([SQUARE, CPPN_FIXED, *(f'y = {i}' for i in range(8))]), InventorConfig('0.1M', longest=60, passes=1.), tmp_path)
    card = json.loads((tmp_path/'inventor.json').read_text())
    assert card['too_long'] == 2 and card['texts'] == 8
    with pytest.raises(InventorError, match='allow for longer ones'): train_inventor(dataset([SQUARE]), InventorConfig('0.1M', longest=20), tmp_path/'none')


def test_score_counts():
    known, samples = ['x = 1', 'x = 2'], ['x=1', 'x = 3', 'x = 3', 'not a program (']

    class Picky(Lengths):
        def evaluate(self, program): return Evaluation('syntax_error') if '(' in program else super().evaluate(program)
    ours, theirs = score(samples, dataset(known), Picky())
    assert (ours.valid, ours.novel, ours.distinct) == (0.75, 0.5, 2)
    assert (theirs.valid, theirs.novel, theirs.distinct, theirs.best) == (1, 0, 2, 5)
    assert ours.niches == len({len(s)//5 for s in samples[:3]}) and ours.qd_score == 3 + 5
