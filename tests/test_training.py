"""Training, adapters and policies where the pages do not look:
several processes, several architectures, adapters in stages 2 and 3, bad input"""
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from elm_nb.invention.conditional import ConditionalError, ValueNetwork, load_policy, make_policy, save_policy
from elm_nb.invention.dataset import Dataset
from elm_nb.search.domain import Evaluation
from elm_nb.sodarace.domain import CPPN_FIXED, SEEDS, SQUARE
from elm_nb.invention.generator import (Generator, GeneratorConfig, GeneratorError, load_generator, new_model,
    compare_with_data, train_generator, train_tokenizer)
from elm_nb.launch import launch, Workers
from elm_nb.language.adapter import add_lora
from elm_nb.language.model import LanguageModel, ModelError, load_model, save_tiny_model
from elm_nb.invention.reinforce import Episode, ReinforceConfig, _experience, gae, reinforce
from elm_nb.sodarace.terrain import flat, left_wall, right_wall, tunnel
from elm_nb.language.training import (TrainConfig, TrainingError, Text, load_checkpoint, train,
    trainable_parameters, update)


class Lengths:
    "The longer, the better"
    axes, seeds, messages = {'length': (0, 40, 8)}, {}, {}
    def evaluate(self, program): return Evaluation('ok', len(program), (len(program),), program)


def dataset(programs, held_out=('x = 1', 'x = 2')):
    return Dataset(*(pa.table({'program': list(p)}) for p in (programs, held_out)), {})


def texts_of(model, programs): return [Text((0, *model.tokenizer.encode(p), 0), 1) for p in programs]


def _train(workers, folder, micro_batch):
    model = load_model(f'{folder}/tiny')
    texts = texts_of(model, sorted({line for p in SEEDS.values() for line in p.split('\n') if line}))
    config = TrainConfig(steps=6, batch=16, micro_batch=micro_batch, check_every=3)
    log = train(model, texts[2:], texts[:2], config, None, workers)
    name = f'{folder}/{workers.ranks}-{micro_batch}.pt'
    if workers.is_first:
        weights = [p.detach() for p in model.model.parameters()]
        torch.save({'weights': weights, 'log': [tuple(l) for l in log]}, name)


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
    with pytest.raises(TrainingError, match='the loss is nan'):
        train(model, texts[1:], texts[:1], config, tmp_path)
    state = load_checkpoint(tmp_path/'checkpoint.pt', {})
    assert len(state['log']) in (5, 10) and all(p.isfinite().all() for p in state['parameters'])
    assert len(train(load_model(str(tmp_path/'tiny')), texts[1:], texts[:1], config, tmp_path)) == 20


def test_checkpoints_that_do_not_fit(tmp_path):
    model = load_model(save_tiny_model(tmp_path/'tiny'))
    texts = texts_of(model, ['x = 1', 'y = 2'])
    train(model, texts, texts, TrainConfig(steps=1), tmp_path)
    with pytest.raises(TrainingError, match='lr is 0.001 there and 0.01 here'):
        train(model, texts, texts, TrainConfig(steps=1, lr=0.01), tmp_path)
    (tmp_path/'checkpoint.pt').write_bytes(b'half a checkpoint')
    with pytest.raises(TrainingError, match='is damaged'):
        train(model, texts, texts, TrainConfig(steps=1), tmp_path)
    for wrong in (dict(steps=0), dict(batch=0), dict(lr=0.)):
        with pytest.raises(TrainingError, match=next(iter(wrong))): TrainConfig(**wrong)


def test_update_is_plain_gradient_descent():
    "Against torch's own backward pass over the whole batch"
    torch.manual_seed(0)
    one, two = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)
    two.load_state_dict(one.state_dict())
    x = torch.randn(6, 4)
    losses = [lambda i=i: one(x[i:i+2]).square().sum()/6 for i in (0, 2, 4)]
    update(torch.optim.SGD(one.parameters(), 0.1), losses, Workers(), max_norm=1e9)
    two(x).square().mean().backward()
    for a, b in zip(one.parameters(), two.parameters()): assert torch.allclose(a, b - 0.1*b.grad, atol=1e-6)


def test_adapters_that_do_not_fit(tmp_path):
    with pytest.raises(ModelError, match='holds no adapter'):
        (tmp_path/'bad').mkdir()
        (tmp_path/'bad'/'base.json').write_text('{"model": 3')
        load_model(str(tmp_path/'bad'))
    with pytest.raises(ModelError, match='is no folder here'):
        base = {'model': str(tmp_path/'gone'), 'fingerprint': ''}
        (tmp_path/'bad'/'base.json').write_text(json.dumps(base))
        load_model(str(tmp_path/'bad'))


@pytest.mark.parametrize('rank', [0, 4])
def test_a_pretrained_model_in_stages_2_and_3(rank, tmp_path):
    """By LoRA or with all weights: what was trained is kept, the rest stays as it was,
    and a folder holds it all"""
    base = save_tiny_model(tmp_path/'tiny')
    programs = [f'x = {i}' for i in range(20)]
    config = GeneratorConfig(base, rank=rank, longest=12, epochs=8., batch=5, micro_batch=5, lr=1e-2)
    log = train_generator(dataset(programs), config, tmp_path/'generator')
    assert log[-1].held_out < (0.95 if rank else 0.5)*log[0].loss
    before = load_model(base, trainable=True).model.state_dict()
    generator = load_generator(tmp_path/'generator', trainable=True)
    weights = [p for p in generator.language_model.model.parameters()]
    assert (len(trainable_parameters(generator.language_model.model)) < len(weights)) == (rank > 0)
    three = generator.sample(3, seed=1)
    assert three == load_generator(tmp_path/'generator', trainable=True).sample(3, seed=1)
    merged = [s.text for s in load_generator(tmp_path/'generator').sample(8, seed=1, temperature=0)]
    assert merged == [s.text for s in generator.sample(8, seed=1, temperature=0)]

    reference, domains = generator.sample(4, seed=2), {left_wall(): Lengths(), right_wall(): Lengths()}
    policy = make_policy(generator, list(domains), 'resnet')
    value = ValueNetwork(policy)
    asked = ReinforceConfig(iterations=2, samples=8, batch=4, micro_batch=2, lr=1e-2, scale=10.)
    reinforce(policy, value, generator, domains, asked)
    assert generator.sample(4, seed=2) == reference
    if rank:
        weights = policy.generator.language_model.model.state_dict().items()
        kept = {n.replace('.base_layer', '').removeprefix('base_model.model.'): w
            for n, w in weights if 'lora_' not in n}
        assert all((w == before[n]).all() for n, w in kept.items()) and len(kept) == len(before)
    save_policy(policy, tmp_path/'policy', value)
    again, value_again = load_policy(tmp_path/'policy', trainable=True)
    samples = policy.invent(tunnel(), 4, seed=3)
    assert again.invent(tunnel(), 4, seed=3) == samples != generator.sample(4, seed=3)
    terrains, tokens = [tunnel()]*4, [s.tokens for s in samples]
    assert torch.allclose(value(terrains, tokens), value_again(terrains, tokens), atol=1e-6)


def test_a_policy_of_another_set_or_none(tmp_path):
    generator = Generator(new_model('0.1M', train_tokenizer([SQUARE])), 10)
    with pytest.raises(ConditionalError, match="no code for the terrain 'tunnel'"):
        make_policy(generator, [flat()]).invent(tunnel(), 1)
    with pytest.raises(ConditionalError, match='there are codes, resnet, resnet50'):
        make_policy(generator, [flat()], 'vit')
    with pytest.raises(ConditionalError, match='holds no policy'): load_policy(tmp_path)
    with pytest.raises(GeneratorError, match='holds no trained generator'): load_generator(tmp_path)


def test_longer_programs_are_counted(tmp_path):
    programs = [SQUARE, CPPN_FIXED, *(f'y = {i}' for i in range(8))]
    train_generator(dataset(programs), GeneratorConfig('0.1M', longest=60, epochs=1.), tmp_path)
    card = json.loads((tmp_path/'generator.json').read_text())
    assert card['too_long'] == 2 and card['texts'] == 8
    with pytest.raises(GeneratorError, match='allow for longer ones'):
        train_generator(dataset([SQUARE]), GeneratorConfig('0.1M', longest=20), tmp_path/'none')


def test_score_counts():
    known, samples = ['x = 1', 'x = 5'], ['x=1', 'x = 3', 'x = 3', 'not a program (']

    class Picky(Lengths):
        def evaluate(self, program):
            return Evaluation('syntax_error') if '(' in program else super().evaluate(program)
    ours, theirs = compare_with_data(samples, dataset(known), Picky())
    assert (ours.valid, ours.novel, ours.unique) == (0.75, 0.5, 2)
    assert (theirs.valid, theirs.novel, theirs.unique, theirs.best) == (1, 0, 2, 5)
    assert ours.niches == len({len(s)//5 for s in samples[:3]}) and ours.qd_score == 3 + 5
    held_out = ['x = 3', 'x = 4']
    ours, _ = compare_with_data(samples, dataset(known, held_out), Picky())
    assert (ours.valid, ours.novel, ours.unique) == (0.75, 0, 2) # what was held out is known, too


def test_gae_knows_where_an_episode_ends():
    "Against the definition, for episodes of different lengths in one batch"
    rng, lengths, gamma, lam = np.random.default_rng(0), (1, 4, 6), 0.9, 0.8
    rewards, values = ([rng.normal(size=n) for n in lengths] for _ in range(2))
    pad = lambda rows: pad_sequence([torch.tensor(r) for r in rows], batch_first=True)
    found = gae(pad(rewards), pad(values), pad([np.ones(n) for n in lengths]) > 0, gamma, lam)
    for row, r, v, n in zip(found, rewards, values, lengths):
        td_errors = r + gamma*np.append(v[1:], 0) - v
        for t in range(n): assert abs(row[t] - sum((gamma*lam)**k*td_errors[t+k] for k in range(n-t))) < 1e-6
        assert not row[n:].any()


@pytest.mark.parametrize('algorithm', ['ppo', 'rloo'])
def test_where_the_reward_and_the_kl_penalty_go(algorithm):
    """Two episodes by hand: the reward comes with the last token,
    and every token pays for being likelier than stage 2 finds it"""
    old, reference, earned, kl = ((-1., -2.), (-1.,)), ((-1.5, -1.), (-3.,)), (2., 1.), 0.1
    episodes = [Episode(0, '', tuple(range(1, 1+len(o))), o, 'ok', 0., '', e) for o, e in zip(old, earned)]
    tokenizer = SimpleNamespace(get_vocab=lambda: ['<|endoftext|>'], convert_tokens_to_ids=lambda t: 0)
    def known(texts, first):
        return pad_sequence([torch.tensor(reference[len(t) == 2]) for t in texts], batch_first=True)
    model = SimpleNamespace(tokenizer=tokenizer, log_probabilities=known)
    config = ReinforceConfig(algorithm, kl=kl, **({'lam': 1., 'gamma': 1.} if algorithm == 'ppo' else {}))
    value = lambda terrains, texts: torch.zeros(len(texts), 2)
    found = _experience(episodes, model, value, [flat()], config, Workers())
    paid = [[-kl*(o - r) for o, r in zip(*rows)] for rows in zip(old, reference)]
    totals = [sum(p) + e for p, e in zip(paid, earned)]
    if algorithm == 'ppo': expected = [totals[0], paid[0][1] + earned[0], totals[1]]
    else: expected = [totals[0] - totals[1]]*2 + [totals[1] - totals[0]]
    counted = torch.stack([found.advantages[0, 0], found.advantages[0, 1], found.advantages[1, 0]])
    normal = (np.array(expected) - np.mean(expected))/np.std(expected)
    assert np.allclose(counted, normal, atol=1e-5)
    if algorithm == 'ppo': assert torch.allclose(found.returns[0], torch.tensor(expected[:2]))


def test_a_collapsed_policy_learns_nothing_from_rounding():
    "Equal programs of equal reward have no advantage, however floats round"
    episodes = [Episode(k % 3, '', (1,), (-0.5,), 'ok', 0., '', 0.1*(k % 3) + 0.7) for k in range(21)]
    tokenizer = SimpleNamespace(get_vocab=lambda: ['<|endoftext|>'], convert_tokens_to_ids=lambda t: 0)
    known = lambda texts, first: torch.full((len(texts), 1), -0.5)
    model = SimpleNamespace(tokenizer=tokenizer, log_probabilities=known)
    found = _experience(episodes, model, None, [flat()]*3, ReinforceConfig('rloo'), Workers())
    assert found.advantages.abs().max() < 0.01


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    base = save_tiny_model(tmp_path/'tiny')
    config = GeneratorConfig(str(tmp_path/'tiny'), rank=2, longest=12, epochs=1.)
    train_generator(dataset([f'x = {i}' for i in range(20)]), config, tmp_path/'generator')
    with pytest.raises(TrainingError, match='data is'):
        train_generator(dataset([f'y = {i}' for i in range(20)]), config, tmp_path/'generator')
    generator = Generator(load_model(base), 8)
    asked = ReinforceConfig('rloo', iterations=1, samples=4)
    for height in (10, 16):
        terrains = {tunnel(height): Lengths()}
        def learn():
            policy = make_policy(generator, list(terrains))
            reinforce(policy, None, generator, terrains, asked, tmp_path/'policy')
        if height == 10: learn()
        else:
            with pytest.raises(TrainingError, match='terrains is'): learn()


def test_an_adapter_as_the_base(tmp_path):
    """Merged and trained with all weights, or trained further;
    and an adapter on an adapter, in another precision"""
    adapted = add_lora(load_model(save_tiny_model(tmp_path/'tiny')), 2)
    with torch.no_grad():
        for p in trainable_parameters(adapted.model): p.normal_(std=0.05)
    adapted.save(tmp_path/'adapter')
    for rank in (0, 2):
        config = GeneratorConfig(str(tmp_path/'adapter'), rank=rank, longest=12, epochs=1.)
        train_generator(dataset([f'x = {i}' for i in range(8)]), config, tmp_path/f'generator{rank}')
        assert len(load_generator(tmp_path/f'generator{rank}').sample(2)) == 2
    merged = load_model(str(tmp_path/'adapter'), dtype=torch.bfloat16)
    second = add_lora(LanguageModel(merged.model, merged.tokenizer, str(tmp_path/'adapter')), 2)
    second.save(tmp_path/'second')
    assert load_model(str(tmp_path/'second')).model.dtype == torch.float32


def test_a_model_filled_to_its_context_can_still_write(tmp_path):
    programs = ['x = 1'*400]*4 + ['y = 2']*4
    train_generator(dataset(programs), GeneratorConfig('0.1M', longest=4000, epochs=1.), tmp_path)
    generator = load_generator(tmp_path)
    assert generator.longest + 1 < generator.language_model.context
    assert len(make_policy(generator, [flat()], tokens=4).invent(flat(), 1)) == 1


@pytest.mark.parametrize('ten', ['codes', 'resnet'])
def test_a_saved_policy_knows_terrains_by_their_fingerprints(ten, tmp_path):
    "Equal terrains are the same, whatever they are named and in whatever order; others have no code"
    generator = Generator(new_model('0.1M', train_tokenizer([SQUARE])), 10)
    policy = make_policy(generator, [left_wall(), flat(), tunnel()], ten, seed=1)
    save_policy(policy, tmp_path/'policy')
    card = json.loads((tmp_path/'policy'/'policy.json').read_text())
    names = {t.fingerprint: t.name for t in (left_wall(), flat(), tunnel())}
    assert card['terrains'] == (names if ten == 'codes' else {})
    again, value = load_policy(tmp_path/'policy')
    assert value is None
    renamed = replace(tunnel(), name='low roof')
    for terrain in (flat(), tunnel(), renamed):
        assert again.invent(terrain, 3, seed=2) == policy.invent(terrain, 3, seed=2)
    found, expected = again.invent(renamed, 3, seed=2), policy.invent(tunnel(), 3, seed=2)
    assert found == expected != policy.invent(flat(), 3, seed=2)
    both = again.ten([tunnel(), flat(), renamed])
    assert torch.equal(both[0], both[2]) and not torch.equal(both[0], both[1])
    if ten == 'codes':
        message = "'tunnel' with these measures; there are codes for left_wall, flat, tunnel"
        with pytest.raises(ConditionalError, match=message): again.invent(tunnel(7), 1)
    else: assert again.invent(tunnel(7), 1)


def test_a_policy_of_another_version_or_damaged(tmp_path):
    generator = Generator(new_model('0.1M', train_tokenizer([SQUARE])), 10)
    save_policy(make_policy(generator, [flat()]), tmp_path)
    card = json.loads((tmp_path/'policy.json').read_text())
    older = {**card, 'terrains': [['flat', [[[0, 0], [1, 0]]], [-1, 1]]]}
    for wrong in (older, {**card, 'terrains': {}}, {'kind': 'codes'}, []):
        (tmp_path/'policy.json').write_text(json.dumps(wrong))
        with pytest.raises(ConditionalError, match='holds no policy that can be used'): load_policy(tmp_path)


def test_parameters_of_a_policy_are_a_method():
    policy = make_policy(Generator(new_model('0.1M', train_tokenizer([SQUARE])), 10), [flat(), tunnel()])
    assert len(policy.parameters()) == len(list(policy.generator.language_model.model.parameters())) + 1


@pytest.mark.parametrize('option', [dict(value_lr=1e-3), dict(value_clip=0.1), dict(gamma=0.9), dict(lam=1.)])
def test_what_has_no_effect_with_rloo_is_refused(option):
    name, = option
    with pytest.raises(TrainingError, match=f'rloo .*change of {name} has no effect'):
        ReinforceConfig('rloo', **option)
    assert ReinforceConfig('ppo', **option).with_algorithm('rloo') == ReinforceConfig('rloo')
    assert ReinforceConfig('rloo', **{name: getattr(ReinforceConfig(), name)}) == ReinforceConfig('rloo')


def test_what_has_no_effect_on_a_generator_is_refused():
    with pytest.raises(GeneratorError, match='rank has no effect .* 0.1M'): GeneratorConfig('0.1M', rank=4)
    with pytest.raises(GeneratorError, match='vocabulary has no effect .* own tokenizer'):
        GeneratorConfig('smollm2-135m-instruct', vocabulary=300)
    assert GeneratorConfig('some/model', rank=0).with_model('1M') == GeneratorConfig('1M')
    assert GeneratorConfig('1M', vocabulary=300).with_model('some/model') == GeneratorConfig('some/model')
    assert GeneratorConfig('1M', vocabulary=300).with_model('3M') == GeneratorConfig('3M', vocabulary=300)


def test_arguments_of_reinforce():
    generator = Generator(new_model('0.1M', train_tokenizer([SQUARE])), 8)
    policy = make_policy(generator, [flat()])
    with pytest.raises(TrainingError, match='no use for a value network'):
        reinforce(policy, ValueNetwork(policy), generator, {flat(): Lengths()}, ReinforceConfig('rloo'))
    with pytest.raises(TrainingError, match='needs a value network'):
        reinforce(policy, None, generator, {flat(): Lengths()})
    with pytest.raises(TrainingError, match='no terrains'):
        reinforce(policy, ValueNetwork(policy), generator, {})
