"Edits of functions from releases of packages, and the training on them"
import ast
import json
import zipfile
from dataclasses import replace
from unittest.mock import patch

import pytest

import elm_nb.language.human_edits as human_edits
import elm_nb.language.pretrain as pretrain_module
import elm_nb.language.training as training
from elm_nb.sodarace.domain import Sodarace
from elm_nb.language.finetune import FinetuneConfig, train_mutator
from elm_nb.language.lessons import lessons
from elm_nb.language.pretrain import PretrainConfig, pretrain
from elm_nb.language.human_edits import Change, DownloadError, Package, changed_lines, describe, mine
from elm_nb.language.model import ModelError, load_model, save_tiny_model
from elm_nb.language.training import TrainingError, pack

OLD = '''import os

def kept(a): return a

class A:
    def area(self, w, h):
        "The area. \\n\\n More."
        if w < 0:
            return 0
        return w * h

def parity_of(bits):
    return sum(bits) % 2

def gone(x): return x

def long(x):
''' + ''.join(f'    x{i} = {i}\n' for i in range(70))

NEW = OLD.replace('w * h', 'w * h + 1').replace('w < 0', 'w <= 0').replace('% 2', '% 2 == 0') \
    .replace('def gone(x): return x', '').replace('x3 =', 'y3 =') \
    .replace('def kept(a): return a', 'def kept(a: int) -> int:\n    # a comment\n    return (a)')


def release(folder, version, code):
    with zipfile.ZipFile(folder/f'Some_Pack-{version}-py3-none-any.whl', 'w') as wheel:
        wheel.writestr('some_pack/core.py', code)
        wheel.writestr('some_pack/tests/test_core.py', f'def f(): return {version[0]}')
        wheel.writestr('some_pack/broken.py', f'print "{version}"')


@pytest.fixture
def no_network():
    with patch.object(human_edits.subprocess, 'run') as run: yield run


def test_mining(tmp_path, no_network):
    for version, code in (('1.0', OLD), ('1.1', NEW), ('2.0', NEW)): release(tmp_path, version, code)
    packages = {'some-pack': Package('MIT', '1.0 1.1 1.5 2.0')}
    with pytest.raises(DownloadError, match='some-pack==1.5'):
        mine(packages, bugs=2, parameters=0, folder=tmp_path)
    assert no_network.call_count == 1 and no_network.call_args[0][0][-1] == 'some-pack==1.5'
    packages = {'some-pack': Package('MIT', '1.0 1.1 2.0')}
    found = mine(packages, bugs=2, parameters=0, folder=tmp_path)
    change, = found.human['some-pack']
    area = 'def area(self, w, h):\n    """The area."""\n    if w < 0:\n        return 0\n    return w * h'
    assert change.before == area
    assert change.message == 'Small change to area function.'
    assert change.after == change.before.replace('w * h', 'w * h + 1').replace('<', '<=')
    assert found.counts == {'releases': 3, 'functions changed': 3, 'kept out': 1, 'function too long': 1}
    mended, = found.bugs
    assert mended.after == change.after != mended.before and mended.message == 'Fixed bugs.'
    numbers, = mine(packages, bugs=0, parameters=2, folder=tmp_path).parameters
    assert numbers.before == change.after != numbers.after
    assert numbers.message == 'Changed parameters in area function.'
    assert not mine(packages, bugs=1, parameters=2, folder=tmp_path).parameters # the one function is taken
    misspelled, = mine(packages, bugs=0, parameters=0, misspelled=2, folder=tmp_path).misspelled
    assert misspelled.after == change.after and misspelled.message == 'Fixed bugs.'
    used = lambda code: [n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)]
    wrong = [(a, b) for a,b in zip(used(misspelled.before), used(misspelled.after)) if a != b]
    assert wrong and all(a not in ('w', 'h', 'self') and b in ('w', 'h') for a,b in wrong)
    assert mine(packages, bugs=2, parameters=0, folder=tmp_path) == found


def test_a_release_that_cannot_be_had_stops_everything(tmp_path):
    "Fewer edits would be another training without a word; what was downloaded stays"
    def download(command, **options):
        package, version = command[-1].split('==')
        if version not in offline: release(tmp_path, version, {'1.0': OLD}.get(version, NEW))
    packages, offline = {'some-pack': Package('MIT', '1.0 1.1 1.5 2.0')}, {'1.1', '1.5'}
    with patch.object(human_edits.subprocess, 'run', side_effect=download) as pip:
        says = '2 of 4 releases cannot be had: some-pack==1.1, some-pack==1.5.*pip download.*some-pack==1.1'
        with pytest.raises(DownloadError, match=says):
            mine(packages, bugs=0, parameters=0, folder=tmp_path)
        assert sorted(w.name.split('-')[1] for w in tmp_path.glob('*.whl')) == ['1.0', '2.0']
        assert pip.call_count == 4
        offline.clear()
        found = mine(packages, bugs=0, parameters=0, folder=tmp_path)
        assert found.counts['releases'] == 4 and len(found.human['some-pack']) == 1 and pip.call_count == 6


def test_nothing_to_be_had(tmp_path, no_network, tiny):
    "No adapter comes of it, nor edits that a training would go on from"
    with pytest.raises(DownloadError, match='2 of 2 releases'):
        mine({'some-pack': Package('MIT', '1.0 1.1')}, folder=tmp_path)
    config = PretrainConfig(iterations=0, train=replace(PretrainConfig.train, model=tiny))
    says = '153 of 153 releases.*and 143 more'
    with patch.object(human_edits, 'cache_folder', lambda: tmp_path):
        with pytest.raises(DownloadError, match=says): pretrain(config, tmp_path/'out', 1)
    assert not (tmp_path/'out/edits.json').exists() and not (tmp_path/'out/adapter').exists()


@pytest.mark.parametrize('before, after, message', [
    ('def f(x=1):\n    return x', 'def f(x=-2):\n    return x', 'Changed parameters in f function.'),
    ('def f(a, b):\n    return a - b', 'def f(a, b):\n    return b - a', 'Fixed bugs.'),
    ('def f(a, b):\n    return a < b', 'def f(a, b):\n    return a >= b', 'Fixed bugs.'),
    ('def f(a):\n    return a', 'def f(a):\n    return a + 1', 'Small change to f function.'),
    ('def f(a):\n    return a', 'def f(a):\n    b = a\n    c = b\n    return c', 'Changed f function.')])
def test_messages(before, after, message): assert describe(before, after, 'f') == message


def test_changed_lines():
    others = 'a\nb\nc', 'a\nx\nc', 'a\nc', 'a\nb\nx\nc', 'x\nb\ny\nz'
    assert [changed_lines('a\nb\nc', t) for t in others] == [0, 1, 1, 1, 3]


@pytest.fixture(scope='module')
def tiny(tmp_path_factory): return save_tiny_model(tmp_path_factory.mktemp('tiny'))


def changes(n, programs=4):
    function = 'def f(x):\n    a = {}\n    return x'.format
    return [Change(function(i % programs), function(f'{i % programs}{i}'), '') for i in range(n)]


def test_every_edit_is_accounted_for(tiny):
    there = load_model(tiny)
    far = Change('a\nb\nc\nd\ne\nf\ng', 'x\nb\nc\nd\ne\nf\ny', 'Far apart')
    long = Change('def f(x):\n    return x', 'def f(x):\n    return ' + 'x + '*120 + 'x', 'Long')
    found = lessons([*changes(20), *changes(20), far, long], there, Sodarace.messages, edits=12, longest=300)
    counts = found.counts
    assert list(counts) == ['found', 'no such form', 'too long', 'not needed', 'held out', 'used']
    assert counts['found'] == 22
    packs = [pack(part) for part in (found.learned, found.held_out)]
    assert [sum(p.texts for p in part) for part in packs] == [counts['used'], counts['held out']]
    assert sum(counts.values()) == 2*22
    assert found.counts['used'] + found.counts['held out'] == 12
    whole = lessons([*changes(20), far, long], there, Sodarace.messages, edits=100, longest=300).counts
    assert whole['no such form'] == whole['too long'] == 1
    with pytest.raises(TrainingError, match='of two programs at least'):
        lessons(changes(9, 1), there, Sodarace.messages)
    with pytest.raises(TrainingError, match="'too long': 9"):
        lessons(changes(9), there, Sodarace.messages, longest=20)


def test_killed_and_started_again(tiny, tmp_path):
    "The adapter is the same, and nothing is collected twice"
    train = FinetuneConfig(tiny, edits=60, longest=2000, pack=512, lr=1e-2, epochs=2., patience=3)
    config = PretrainConfig(human=0, bugs=0, parameters=0, iterations=3, train=train)
    pretrain(config, tmp_path/'whole', 1)
    steps, update = [], training.update
    def dies(*args):
        steps.append(1)
        if len(steps) == 12: raise KeyboardInterrupt
        return update(*args)
    with patch.object(training, 'update', dies), pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path/'parts', 1)
    collected = (tmp_path/'parts/edits.json').stat().st_mtime_ns
    pretrain(config, tmp_path/'parts', 1)
    assert (tmp_path/'parts/edits.json').stat().st_mtime_ns == collected
    for file in ('adapter/adapter_model.safetensors', 'adapter/README.md', 'finetune.json'):
        assert (tmp_path/'whole'/file).read_bytes() == (tmp_path/'parts'/file).read_bytes()
    other = replace(config, train=replace(train, lr=1e-3))
    with pytest.raises(TrainingError, match='lr'): pretrain(other, tmp_path/'whole', 1)


def test_without_a_genetic_run(tiny, tmp_path):
    edits = [Change(f'def f{i}(x):\n    return x + {i}', f'def f{i}(x):\n    return x - {i}', 'Fixed bugs.')
        for i in range(8)]
    mined = human_edits.Mined({'click': edits}, [], [], [], {})
    config = PretrainConfig(iterations=0, train=FinetuneConfig(tiny))
    with patch.object(pretrain_module, 'mine', lambda **options: mined): pretrain(config, tmp_path/'new', 1)
    assert '8 human edits' in (tmp_path/'new/adapter/README.md').read_text()


def test_an_adapter_is_trained_further(tiny, tmp_path):
    train = FinetuneConfig(tiny, edits=20, longest=2000)
    config = PretrainConfig(human=0, bugs=0, parameters=0, iterations=2, train=train)
    pretrain(config, tmp_path/'one', 1)
    further = replace(config, train=replace(train, model=str(tmp_path/'one/adapter')))
    pretrain(further, tmp_path/'two', 1)
    first = [json.loads((tmp_path/name/'finetune.json').read_text())['log'][0][2] for name in ('one', 'two')]
    assert first[1] < first[0]
    bases = [json.loads((tmp_path/name/'adapter/base.json').read_text()) for name in ('one', 'two')]
    assert bases[0] == bases[1]
    assert load_model(str(tmp_path/'two/adapter')).notes == {'format': 'infill'}
    said, before = ((tmp_path/name/'adapter/README.md').read_text() for name in ('two', 'one'))
    assert said.count('## Training') == 2 and before.count('## Training') == 0
    first = said.split('## Training 1')[1].split('## Training 2')[0]
    assert first.strip() == before.split('elm_nb.')[1].strip()
    card = tmp_path/'one/adapter/card.json'
    card.write_text('{')
    with pytest.raises(TrainingError, match='card.json is damaged'): pretrain(further, tmp_path/'four', 1)
    card.unlink()
    pretrain(further, tmp_path/'four', 1)
    assert 'no card of it' in (tmp_path/'four/adapter/README.md').read_text().split('## Training 2')[0]
    again = FinetuneConfig(str(tmp_path/'one/adapter'), rank=4)
    with pytest.raises(TrainingError, match='rank is 4, but the adapter .* has rank 16'):
        train_mutator(changes(20), Sodarace.messages, again, tmp_path/'three')


def test_wrong_requests(tmp_path, tiny):
    with pytest.raises(TrainingError, match='bugs is -1'): PretrainConfig(bugs=-1)
    for idle in (dict(iterations=0, domain_edits=5), dict(human=0, per_package=5),
            dict(train=FinetuneConfig(improved=0.5)), dict(wish='Added joints.')):
        with pytest.raises(TrainingError, match='would have no effect'): PretrainConfig(**idle)
    with pytest.raises(ModelError, match='unknown edit format'): FinetuneConfig(format='poem')
    hindsight = FinetuneConfig(tiny, hindsight=True)
    with pytest.raises(TrainingError, match="sodarace has no wish 'Fly.'; it has 'Added joints.'"):
        pretrain(PretrainConfig(wish='Fly.', train=hindsight), tmp_path/'fly', 1)
    config = PretrainConfig(train=FinetuneConfig(str(tmp_path)))
    with pytest.raises(ModelError, match='has no readable config'): pretrain(config, tmp_path, 1)
