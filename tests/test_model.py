"The sampler against transformers' own generation, on tiny random models of several architectures"
import io, sys
from contextlib import redirect_stderr
from importlib.resources import files

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (AutoTokenizer, GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM,
    Qwen2Config, Qwen2ForCausalLM)

from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.language.adapter import add_lora
from elm_nb.language.model import EDITS, LanguageModel, ModelError, _download, load_model, save_tiny_model
from elm_nb.language.mutator import DiffMutator, headline, line_probabilities, may_change
from elm_nb.language.sampler import Prompt
from elm_nb.language.training import Pack, Text, pack

SMALL = dict(vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, eos_token_id=0)
MODELS = {
    'qwen2': lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    'gpt2': lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=257, n_embd=32, n_layer=2, n_head=4, eos_token_id=0, bos_token_id=0)),
    'windowed': lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=16)),
}
PROMPT = 'def make_walker():\n    wc = walker_creator()\n    center = wc.add_joint(5, 5)'


@pytest.fixture
def language_model(request, tmp_path):
    torch.manual_seed(0)
    save_tiny_model(tmp_path)
    return LanguageModel(MODELS[request.param]().eval(), AutoTokenizer.from_pretrained(tmp_path))


@pytest.mark.parametrize('language_model', ['qwen2', 'gpt2'], indirect=True)
def test_same_as_generate(language_model):
    ids = torch.tensor([language_model.tokenizer.encode(PROMPT)])
    generated = language_model.model.generate(ids, max_new_tokens=30, do_sample=False,
        attention_mask=torch.ones_like(ids))
    expected = generated[0,ids.shape[1]:].tolist()
    for pieces in ([PROMPT], [PROMPT[:20], PROMPT[20:]]):
        for s in language_model.sample(pieces, 3, 30, temperature=0):
            assert list(s.tokens) == expected[:len(s.tokens)] and len(s.tokens) > 5


@pytest.mark.parametrize('language_model', ['windowed'], indirect=True)
def test_a_window_is_refused(language_model):
    with pytest.raises(ModelError, match='another model'): language_model.sample(PROMPT, 2, 10)


@pytest.mark.parametrize('language_model', ['gpt2', 'windowed'], indirect=True)
def test_what_costs_children_and_what_ends_a_run(language_model):
    "A program that is too long costs its children only; a model that cannot be used is an error"
    mutator = DiffMutator(language_model, {'Fixed bugs.': 1.})
    if language_model.model.config.model_type == 'gpt2':
        too_long = mutator.propose('x = 1\n'*3000, 2, [0])
        found = {(p.applied.status, 'do not fit' in p.applied.detail) for p in too_long}
        assert found == {('malformed', True)}
    else:
        with pytest.raises(ModelError, match='windowed attention'): mutator.propose(SEEDS['square'], 2, [0])
    language_model.notes = {'format': 'rewrite'}
    with pytest.raises(ModelError, match="in the format 'rewrite'"):
        DiffMutator(language_model, {'Fixed bugs.': 1.})


def test_state_after_an_interruption(tmp_path):
    "An exception in the stop rule, or new weights, leave nothing behind"
    model = load_model(save_tiny_model(tmp_path))
    before = model.sample(PROMPT, 2, 10, temperature=0)
    with pytest.raises(ZeroDivisionError): model.sample(PROMPT, 2, 10, stop=lambda text: 1/0)
    assert model.sample(PROMPT, 2, 10, temperature=0) == before
    with torch.no_grad():
        for p in model.model.parameters(): p.add_(torch.randn_like(p))
    after = model.sample(PROMPT, 2, 10, temperature=0)
    again = LanguageModel(model.model, model.tokenizer)
    assert again.sample(PROMPT, 2, 10, temperature=0) == after != before


def set_data(model, other):
    for p, q in zip(model.model.parameters(), other.model.parameters()): p.data = q.data.clone()

def set_model(model, other): model.model = other.model

def write_data(model, other):
    for p, q in zip(model.model.parameters(), other.model.parameters()): p.data.copy_(q.data)

@pytest.mark.parametrize('change', [set_data, set_model, write_data])
def test_other_weights_never_meet_an_old_prompt(tmp_path, change):
    "However the weights were changed, and though no tensor counted it"
    model = load_model(save_tiny_model(tmp_path/'0', seed=0))
    other = load_model(save_tiny_model(tmp_path/'1', seed=1))
    expected = other.sample(PROMPT, 2, 10, temperature=0)
    assert model.sample(PROMPT, 2, 10, temperature=0) != expected
    versions = [p._version for p in model.model.parameters()]
    change(model, other)
    assert sum(p._version for p in model.model.parameters()) == sum(versions)
    assert model.sample(PROMPT, 2, 10, temperature=0) == expected
    lines = [line_probabilities(m, Prompt(m, PROMPT), PROMPT).tolist() for m in (model, other)]
    assert lines[0] == lines[1]


def test_a_prompt_is_read_once(tmp_path, monkeypatch):
    "By a proposal, which scores lines and samples; and several calls may share one"
    model, lengths = load_model(save_tiny_model(tmp_path)), []
    before = [model.sample(PROMPT, 2, 10, seed=seed) for seed in (0, 1)]
    forward = model.model.forward
    def counting(*args, **options):
        if 'inputs_embeds' in options: lengths.append(options['inputs_embeds'].shape[1])
        return forward(*args, **options)
    monkeypatch.setattr(model.model, 'forward', counting)
    prompt = Prompt(model, [PROMPT[:20], '', PROMPT[20:]])
    after = [model.sample(prompt, 2, 10, seed=seed) for seed in (0, 1)]
    assert [[s.text for s in a] for a in after] == [[s.text for s in b] for b in before]
    assert lengths == [20, len(PROMPT)-20] and len(prompt) == len(PROMPT)
    lengths.clear()
    DiffMutator(model, {'Fixed bugs.': 1.}).propose(PROMPT, 2, [0])
    assert lengths == [len(PROMPT), len('\n\n# Fixed bugs.')]


def test_prompts_that_are_refused(tmp_path):
    model = load_model(save_tiny_model(tmp_path/'0'))
    other = load_model(save_tiny_model(tmp_path/'1', seed=1))
    for empty in ('', [], ['', '']):
        with pytest.raises(ValueError, match='the prompt is empty'): Prompt(model, empty)
        with pytest.raises(ValueError, match='the prompt is empty'): model.sample(empty, 1)
    with pytest.raises(ValueError, match='of another model'): other.sample(Prompt(model, PROMPT), 1, 1)
    with pytest.raises(ValueError, match='of another model'):
        line_probabilities(other, Prompt(model, PROMPT), PROMPT)
    with pytest.raises(ValueError, match='when it is made'):
        model.sample(Prompt(model, PROMPT), 1, 1, soft_prompt=torch.zeros(1, 32))


@pytest.mark.parametrize('language_model', ['qwen2', 'gpt2'], indirect=True)
def test_training_sees_the_probabilities_of_sampling(language_model):
    """With and without embeddings before the prompt, whatever the temperature,
    and for texts of different lengths"""
    start = language_model.tokenizer.encode(PROMPT)
    size = language_model.model.get_input_embeddings().embedding_dim
    for soft_prompt in (None, torch.randn(2, size)):
        samples = language_model.sample(PROMPT, 6, 30,
            temperature=0.8, top_p=0.9, seed=1, soft_prompt=soft_prompt)
        assert len({len(s.tokens) for s in samples}) > 1 or all(s.ended == 'length' for s in samples)
        repeated = None if soft_prompt is None else soft_prompt.expand(6, -1, -1)
        texts = [[*start, *s.tokens] for s in samples]
        found = language_model.log_probabilities(texts, [len(start)]*6, repeated)
        for row, s in zip(found, samples):
            assert torch.allclose(row[:len(s.tokens)], torch.tensor(s.log_probabilities), atol=1e-4)
            assert not row[len(s.tokens):].any()
    with pytest.raises(ValueError, match='none before it'): language_model.log_probabilities([[1, 2]], [0])


def test_a_soft_prompt_leaves_nothing_behind(tmp_path):
    model = load_model(save_tiny_model(tmp_path))
    before = model.sample(PROMPT, 2, 10, seed=1)
    model.sample(PROMPT, 2, 10, seed=1, soft_prompt=torch.randn(3, 32))
    assert model.sample(PROMPT, 2, 10, seed=1) == before


TAILS = [' + 1', '\n    return wc', ', 2)\n    wc.add_muscle(center, center)', '(']

@pytest.mark.parametrize('language_model', ['qwen2', 'gpt2'], indirect=True)
def test_tails_change_nothing(language_model):
    """Rows with ends of their own give what they give alone, with the same probabilities,
    also with a soft prompt before them"""
    size = language_model.model.get_input_embeddings().embedding_dim
    for soft_prompt in (None, torch.randn(2, size)):
        together = language_model.sample(PROMPT, 4, 30, temperature=0, tails=TAILS, soft_prompt=soft_prompt)
        for s, tail in zip(together, TAILS):
            alone, = language_model.sample(PROMPT + tail, 1, 30, temperature=0, soft_prompt=soft_prompt)
            assert s.text == alone.text
            found, expected = torch.tensor(s.log_probabilities), torch.tensor(alone.log_probabilities)
            assert torch.allclose(found, expected, atol=1e-4)


def test_less_memory_gives_the_same_likeliest_samples(tmp_path, monkeypatch):
    model = load_model(save_tiny_model(tmp_path))
    stops = [lambda text, n=n: len(text) >= n for n in (3, 9, 2, 30)]
    whole = model.sample(PROMPT, 4, 30, temperature=0, tails=TAILS, stop=stops)
    monkeypatch.setattr('elm_nb.language.sampler.memory_of', lambda device: 1)
    parts = model.sample(PROMPT, 4, 30, temperature=0, tails=TAILS, stop=stops)
    assert [s.text for s in parts] == [s.text for s in whole]
    assert [s.ended for s in parts] == [s.ended for s in whole]
    with pytest.raises(ValueError, match='4 tails are needed'): model.sample(PROMPT, 4, 30, tails=TAILS[:3])


@pytest.mark.parametrize('language_model', ['qwen2', 'gpt2'], indirect=True)
def test_packed_texts_are_the_same_texts(language_model):
    encode, start = language_model.tokenizer.encode, language_model.tokenizer.encode(PROMPT)
    texts = [Text((*start, *encode(tail), *encode(answer)), len(start) + len(encode(tail)))
        for tail in TAILS for answer in ('one', 'two\nthree')]
    texts += [Text(tuple(encode('x = 1; y = 2')), 4), Text(tuple(encode('x = 1; y = 2')), 4)]
    for size in (1, 200, 1000):
        packs = pack(texts, size)
        assert sum(p.texts for p in packs) == len(texts)
        assert size == 1 or max(len(p.tokens) for p in packs) <= size
        packed = Pack.objective(language_model, packs)
        separate = Text.objective(language_model, texts)
        counted = torch.cat([row[:t.loss_terms] for row, t in zip(separate, texts)])
        assert torch.allclose(packed, counted, atol=1e-4)
    gradients = []
    for losses in (Pack.objective(language_model, packs),
            Text.objective(language_model, texts)):
        language_model.model.zero_grad()
        losses.sum().backward()
        found = [p.grad.flatten() for p in language_model.model.parameters() if p.grad is not None]
        gradients.append(torch.cat(found))
    assert torch.allclose(*gradients, atol=1e-3)


def test_the_adapter_of_the_package():
    "It fits the model it is made for, is small, and knows what an edit is"
    folder = files('elm_nb')/'adapter'
    weights = load_file(folder/'adapter_model.safetensors')
    assert (folder/'adapter_model.safetensors').stat().st_size <= 10e6
    assert {w.dtype for w in weights.values()} == {torch.bfloat16}
    domain = Sodarace()
    proposals = DiffMutator(load_model(EDITS), domain.messages).propose(SEEDS['square'], 32, [0])
    changed = [p.applied.source for p in proposals if p.applied.source != SEEDS['square']]
    assert sum(domain.evaluate(source).status == 'ok' for source in changed) >= 8
    domain.sandbox.close()


def test_probabilities_of_lines(tmp_path):
    "Worked out for each line alone they are the same; lines that stand there twice share theirs"
    model = load_model(save_tiny_model(tmp_path))
    program = 'def f(x):\n    x = 1\n    y = 2\n\n    x = 1\n    return x'
    prompt = [program, headline('Fixed bugs.', 'infill')]
    given = [t for piece in prompt for t in model.tokenizer.encode(piece)]
    lines = [1, 2, 5]
    texts = [given + model.tokenizer.encode(f'\n-{program.split(chr(10))[i]}\n') for i in lines]
    expected = model.log_probabilities(texts, [len(given)]*3).sum(dim=1).softmax(dim=0).tolist()
    found = line_probabilities(model, Prompt(model, prompt), program)
    assert found[[0, 3]].tolist() == [0, 0]
    assert np.allclose(found[[1, 2, 5, 4]],
        [expected[0]/2, expected[1], expected[2], expected[0]/2], atol=1e-4)
    assert np.allclose(may_change('x = 1\ny = 2'), 0.5)


def test_a_download_without_a_terminal(tmp_path, monkeypatch):
    "Where output is captured, sys.stderr is no file that another process could write to"
    monkeypatch.setattr(sys, 'executable', '/bin/false')
    with redirect_stderr(io.StringIO()), pytest.raises(ModelError, match='cannot download'):
        _download(tmp_path)


def test_an_adapter_whose_replacement_was_interrupted_is_found(tmp_path):
    model = add_lora(load_model(save_tiny_model(tmp_path/'tiny')), r=2)
    model.save(tmp_path/'adapter')
    (tmp_path/'adapter').rename(tmp_path/'adapter.old') # as `whole_folder` leaves it for a moment
    assert load_model(str(tmp_path/'adapter')).notes == {} and (tmp_path/'adapter').exists()


def test_there_is_a_stop_rule_for_all_or_one_for_each(tmp_path):
    model = load_model(save_tiny_model(tmp_path))
    for rules in ([None], [None]*3):
        with pytest.raises(ValueError, match='2 stop rules are needed'):
            model.sample(PROMPT, 2, 4, stop=rules)


def test_guessing_and_memory_change_no_proposal(tmp_path, monkeypatch):
    "However many tokens are guessed, and in however many parts the rows are sampled"
    model = load_model(save_tiny_model(tmp_path))
    mutator = DiffMutator(model, {'Fixed bugs.': 1.}, top_p=1.) # where it cuts, a last bit may count
    def proposals(name, value):
        with monkeypatch.context() as patched:
            patched.setattr(f'elm_nb.language.sampler.{name}', value)
            return [p.raw for p in mutator.propose(SEEDS['square'], 12, [0])]
    expected = proposals('TOKENS_AT_ONCE', 1)
    assert proposals('TOKENS_AT_ONCE', 12) == proposals('TOKENS_AT_ONCE', 64) == expected
    assert proposals('memory_of', lambda device: 1) == expected


def test_a_text_that_repeats_itself_takes_fewer_steps(tmp_path, monkeypatch):
    "As the likeliest of a model with random weights does"
    model, found = load_model(save_tiny_model(tmp_path)), {}
    forward, steps = model.model.forward, []
    def counting(*args, **options):
        steps.append(1)
        return forward(*args, **options)
    monkeypatch.setattr(model.model, 'forward', counting)
    for n in (1, 32):
        monkeypatch.setattr('elm_nb.language.sampler.TOKENS_AT_ONCE', n)
        steps.clear()
        text = model.sample(PROMPT, 1, 200, temperature=0)[0].text
        found[n] = text, len(steps)
    assert found[1][0] == found[32][0]
    assert found[32][1] < found[1][1]/2


def test_what_was_read_is_not_read_again(tmp_path, monkeypatch):
    "Lines that were scored, questions that several children have, and guesses of all of them"
    model, read = load_model(save_tiny_model(tmp_path)), []
    forward = model.model.forward
    def counting(input_ids=None, **options):
        if input_ids is not None: read.append(input_ids.shape)
        return forward(input_ids=input_ids, **options)
    monkeypatch.setattr(model.model, 'forward', counting)
    prompt = Prompt(model, PROMPT)
    first, second = (model.encode(text) for text in ('\n-    x', '\n-    x\n+    y'))
    prompt.follow([first])
    prompt.follow([second, first, second])
    assert read == [(1, len(first)), (1, len(second) - len(first))]
    assert len(prompt.tree.tokens) == len(second)
    alone = Prompt(model, [PROMPT, '\n-    x\n+    y']).read()[1]
    assert torch.allclose(prompt.logits([len(second)-1]), alone, atol=1e-4)
