"Stage 2 data from small logs, against what one works out by hand"
import json
import math
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import elm_nb.invention.dataset as module
from conftest import needed
from elm_nb.invention.dataset import (Dataset, DatasetError, canonical, distill, push, read_dataset,
    write_dataset)
from elm_nb.sodarace.domain import Sodarace
from elm_nb.search.map_elites import GridArchive
from elm_nb.search.run import Entry, Run, RunError, admit, replay

AXES = Sodarace.axes
LOW, HIGH = (1., 1., 5.), (13., 1., 5.) # behaviors in niches 1 and 6*144 + 1


def log(folder, programs, **config):
    "A run of one iteration from (program, fitness, behavior); the archive says what it admits"
    config = {'domain': 'sodarace', 'seed_program': 'square', 'mutator': 'genetic', 'seed': 0, **config}
    with Run(folder, config) as run:
        archive = GridArchive(AXES)
        entries = [Entry(i, 0, None, '', '', 'exact', '', '+', p, 'ok', '', fitness, behavior, '', True, '')
            for i,(p,fitness,behavior) in enumerate(programs)]
        if entries: run.append(admit(archive, entries), archive, 0.)
    return folder


def rows(dataset):
    both = pa.concat_tables([dataset.train, dataset.held_out]).to_pylist()
    return sorted(both, key=lambda r: (r['run'], r['evaluation']))

def programs(dataset): return [r['program'] for r in rows(dataset)]
def held(dataset): return set(dataset.held_out['program'].to_pylist())


@pytest.fixture
def two(tmp_path):
    "In niche LOW the best of all is 10, in HIGH it is 4"
    a = [('a = 1', 3., LOW), ('a = 2', 5., LOW), ('a = 3', 4., LOW), ('a = 4', 8., LOW), ('a = 5', 1., HIGH)]
    b = [('b = 1', 4.99, LOW), ('b = 2', 10., LOW), ('b = 3', 4., HIGH), ('b = 4', 3.9, HIGH)]
    return [log(tmp_path/'one', a), log(tmp_path/'two', b, seed=1)]


@pytest.mark.parametrize('threshold, expected', [
    # a = 3 and b = 4 were never admitted
    (1e-9, ['a = 1', 'a = 2', 'a = 4', 'a = 5', 'b = 1', 'b = 2', 'b = 3']),
    # 5 is half of 10, 4.99 is not; 1 is not half of the other run's 4
    (0.5, ['a = 2', 'a = 4', 'b = 2', 'b = 3']),
    (0.8, ['a = 4', 'b = 2', 'b = 3']),
    (1, ['b = 2', 'b = 3'])])
def test_threshold(two, threshold, expected):
    dataset = distill(two, threshold=threshold)
    assert programs(dataset) == expected
    counts = dataset.card['counts']
    assert (counts['admitted'], counts['left_out'], counts['duplicates']) == (7, 7 - len(expected), 0)


def test_final(two, tmp_path):
    # the champions of either run, however poor
    assert programs(distill(two, 'final')) == ['a = 4', 'a = 5', 'b = 2', 'b = 3']
    for folder in two:
        with Run(folder) as run: champions = replay(run.entries(), AXES).champions.values()
        assert {c.item.program for c in champions} <= set(programs(distill(two, 'final')))
    below = log(tmp_path/'below', [('c = 1', -3., LOW), ('c = 2', -1., LOW), ('c = 3', -2., HIGH)])
    assert programs(distill([below], 'final')) == ['c = 2', 'c = 3']


def test_columns(two):
    row = rows(distill(two))[-1]
    assert row == {'program': 'b = 3', 'fitness': 4., 'height': 13., 'width': 1., 'mass': 5.,
        'niche': 6*144 + 1, 'seed_program': 'square', 'mutator': 'genetic', 'run': 1, 'evaluation': 2}
    card = distill(two).card
    runs = [(r['folder'], r['seed'], r['evaluations'], r['admitted']) for r in card['runs']]
    assert runs == [('one', 0, 5, 4), ('two', 1, 4, 3)]
    assert card['domain'] == 'sodarace' and card['threshold'] == 0.5
    assert card['runs'][0]['mutator'] == 'genetic'
    def size(part): return part['train'] + part['held_out']
    assert sum(map(size, card['niches'])) == sum(map(size, card['seed_programs'])) == 4
    assert {n['niche']: size(n) for n in card['niches']} == {1: 3, 6*144 + 1: 1}


def test_duplicates(tmp_path):
    one = log(tmp_path/'one', [('a = 1', 5., LOW), ('b = 1', 5., HIGH)])
    two = log(tmp_path/'two', [('a = (1) # once more', 5., LOW), ('b=1', 6., HIGH)], seed=1)
    dataset = distill([one, two])
    assert dataset.card['counts']['duplicates'] == 2
    kept = [(r['program'], r['fitness'], r['run']) for r in rows(dataset)]
    assert kept == [('a = 1', 5., 0), ('b = 1', 6., 1)] # of equals the first, else the fittest
    assert distill([one, two, one, tmp_path/'two'/'..'/'one']) == dataset # a folder named twice is one run


def test_canonical():
    for text in Sodarace.seeds.values():
        assert canonical(canonical(text)) == canonical(text)
        assert canonical('# a comment\n' + text.replace('    ', '  ')) == canonical(text)


def test_skips_what_is_not_python(tmp_path):
    texts = [('a = 1', 5., LOW), ('a = = 1', 6., LOW), ('b = 1', 6., HIGH), ('\0', 7., HIGH)]
    dataset = distill([log(tmp_path/'one', texts)])
    assert programs(dataset) == ['a = 1', 'b = 1'] and dataset.card['counts']['skipped'] == 2
    with pytest.raises(DatasetError, match='none of 2 programs is Python'):
        distill([log(tmp_path/'two', [('(', 5., LOW), (')', 6., HIGH)])])


def many(folder, n, draw, seed=0):
    rng = np.random.default_rng(draw)
    niches = [(2.*(i % 12) + 1, 2.*(i//12) + 1, 5.) for i in range(n)]
    drawn = [(f'x = {int(rng.integers(1000))}', float(rng.random()), b) for b in niches]
    return log(folder, drawn, seed=seed)


def test_order_and_place_of_the_runs_do_not_matter(tmp_path):
    folders = [many(tmp_path/'b', 30, 0), many(tmp_path/'a', 20, 1),
        many(tmp_path/'sub'/'a', 10, 2, seed=1), many(tmp_path/'other'/'a', 10, 3, seed=1)]
    dataset = distill(folders)
    for order in ([3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]):
        assert distill([folders[i] for i in order]) == dataset
    moved = shutil.move(tmp_path, tmp_path.with_name('moved'))
    assert distill([moved/f.relative_to(tmp_path) for f in folders]) == dataset
    shutil.move(moved, tmp_path)
    assert str(tmp_path) not in json.dumps(dataset.card)


def test_held_out(tmp_path):
    folders = [many(tmp_path/'a', 60, 0)]
    for share in 0.001, 0.05, 0.3, 0.999:
        dataset = distill(folders, held_out=share)
        assert len(dataset.train) and len(dataset.held_out)
        assert not held(dataset) & set(dataset.train['program'].to_pylist())
        by_hash = sorted(programs(dataset), key=lambda p: sha256(p.encode()).hexdigest())
        assert held(dataset) == set(by_hash[:len(dataset.held_out)])
    hundred = log(tmp_path/'hundred',
        [(f'x = {i}', 1., (2.*(i % 12) + 1, 2.*(i//12) + 1, 5.)) for i in range(100)])
    sizes = [len(distill([hundred], held_out=share).held_out) for share in (0.05, 0.07, 0.071, 0.001)]
    assert sizes == [5, 7, 8, 1] # 0.07*100 is 7.000000000000001
    more = distill([*folders, many(tmp_path/'b', 60, 1)], held_out=0.3)
    before = held(distill(folders, held_out=0.3))
    assert len(held(more) & before) > 0.6*len(before & set(programs(more)))


def test_leave_out(two, tmp_path):
    another = {'terrain': 'another'}
    radial = log(tmp_path/'radial', [('r = 1', 100., LOW)], seed_program='radial', settings=another)
    dataset = distill([*two, radial])
    assert rows(dataset) == rows(distill(two)) and dataset.card['counts']['runs_left_out'] == 1
    with pytest.raises(DatasetError, match='no runs but from radial'): distill([radial])
    beside = log(tmp_path/'b', [('b = 1', 1., HIGH)], settings=another)
    assert 'r = 1' in programs(distill([radial, beside], leave_out=[]))


def test_runs_must_fit_together(tmp_path):
    def run(name, **config): return log(tmp_path/name, [('a = 1', 5., LOW), ('b = 1', 6., HIGH)], **config)
    flat = {'terrain': 'flat', 'simulator': {'gravity': -60, 'period': 1.0}}
    here, same = run('here', settings=flat), run('same', settings=flat, seed=1)
    assert distill([here, same]).card['settings'] == flat
    heavy, old = run('heavy', settings={**flat, 'simulator': {'gravity': -90, 'period': 1.0}}), run('old')
    gravity = r'here and .*heavy .*settings.simulator.gravity is -60 .* -90'
    with pytest.raises(DatasetError, match=gravity) as error: distill([here, heavy])
    assert 'terrain' not in str(error.value) and 'period' not in str(error.value)
    terrain = r"here and .*old .*settings.terrain is 'flat' in the one and None"
    with pytest.raises(DatasetError, match=terrain): distill([here, old])
    with pytest.raises(DatasetError, match=r"domain is 'sodarace' in the one and 'a:b' in the other"):
        distill([old, run('domain', domain='a:b')])
    config = json.loads((run('older', seed=2)/'config.json').read_text())
    (tmp_path/'older'/'config.json').write_text(json.dumps({**config, 'version': '0.0.1'}))
    with pytest.raises(DatasetError, match="settings.version is .* '0.0.1'"): distill([old, tmp_path/'older'])


def test_named_errors(two, tmp_path):
    with pytest.raises(DatasetError, match='there are no runs'): distill([])
    with pytest.raises(DatasetError, match='lists'): distill(str(two[0]))
    with pytest.raises(DatasetError, match='lists'): distill(two, leave_out='radial')
    with pytest.raises(RunError, match='no config.json'): distill([tmp_path])
    with pytest.raises(DatasetError, match="unknown method 'best'"): distill(two, 'best')
    with pytest.raises(DatasetError, match="threshold has no effect with method='final'"):
        distill(two, 'final', threshold=0.8)
    assert distill(two, 'final', threshold=0.5) == distill(two, 'final')
    for threshold in 0, -1, 1.01, math.nan:
        with pytest.raises(DatasetError, match='threshold is'): distill(two, threshold=threshold)
    for share in 0, 1, -0.1:
        with pytest.raises(DatasetError, match='held_out is'): distill(two, held_out=share)
    with pytest.raises(DatasetError, match='all 3 programs are in one niche'):
        distill([log(tmp_path/'narrow', [(f'a = {i}', 5.+i, LOW) for i in range(3)])])
    with pytest.raises(DatasetError, match=r'-1.*final'):
        distill([log(tmp_path/'negative', [('a = 1', -1., LOW), ('b = 1', 6., HIGH)])])
    with pytest.raises(DatasetError, match='no evaluations yet'): distill([log(tmp_path/'empty', [])])
    with Run(tmp_path/'strange', {'seed': 0}): pass
    with pytest.raises(DatasetError, match='lacks domain, seed_program, mutator'):
        distill([tmp_path/'strange'])


@pytest.mark.parametrize('axes, message', [
    ({'fitness': (0, 1, 2), 'width': (0, 9, 3), 'mass': (0, 9, 3)}, 'axis named fitness'),
    ({'mass': (0, 9, 3)}, 'does not measure mass')])
def test_another_domain(two, monkeypatch, axes, message):
    monkeypatch.setattr(module, 'find_domain', lambda name: SimpleNamespace(axes=axes))
    with pytest.raises(DatasetError, match=message): distill(two)


def test_written_and_read(two, tmp_path):
    for method in 'threshold', 'final':
        dataset = distill(two, method)
        folder = tmp_path/'data'/method
        write_dataset(dataset, folder)
        assert read_dataset(folder) == dataset
        assert [f.name for f in folder.parent.glob('*.*')] == [] # nothing is left aside
    text = (folder/'README.md').read_text()
    assert str(tmp_path) not in text
    assert '| 0 | square | genetic | 0 | one |' in text and '| 865 | 12 to 14 | 0 to 2 | 4 to 8 |' in text
    with pytest.raises(DatasetError, match='not empty'): write_dataset(dataset, folder)
    with pytest.raises(DatasetError, match='not empty'): write_dataset(dataset, folder/'README.md')


def test_half_a_dataset_never_gets_its_name(two, tmp_path, monkeypatch):
    calls = []
    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2: raise OSError('no space left')
        return write(*args, **kwargs)
    write = pq.write_table
    monkeypatch.setattr(pq, 'write_table', fail)
    with pytest.raises(OSError, match='no space'): write_dataset(distill(two), tmp_path/'data'/'one')
    assert list((tmp_path/'data').iterdir()) == []
    def rename(self, target):
        if target == tmp_path/'data'/'one': raise OSError('killed here')
        return name(self, target)
    name = Path.rename
    monkeypatch.setattr(Path, 'rename', rename)
    with pytest.raises(OSError, match='killed here'): write_dataset(distill(two), tmp_path/'data'/'one')
    assert list((tmp_path/'data').iterdir()) == []


def test_damage_is_named(two, tmp_path):
    def damaged(file, change):
        folder = tmp_path/f'{len(list(tmp_path.iterdir()))}'
        write_dataset(distill(two), folder)
        change(folder/file)
        return folder
    train, test = 'data/train-00000-of-00001.parquet', 'data/test-00000-of-00001.parquet'
    def flip(file):
        first = distill(two).train['program'][0].as_py().encode()
        file.write_bytes(file.read_bytes().replace(first, b'a = 7', 1)) # inside of a page
    def shorten(file): file.write_bytes(file.read_bytes()[:200])
    def other_card(file):
        card = file.read_text()
        file.write_text(card.replace('"train": 3,\n    "held_out": 1', '"train": 4,\n    "held_out": 1'))
    def other_axes(file): file.write_text(file.read_text().replace('"mass"', '"weight"'))
    def remove(file): file.unlink()
    for file,change,message in [
            (train, remove, 'no data/train'), (test, remove, 'no data/test'),
            ('card.json', remove, 'no card.json'),
            (train, shorten, 'train-.*damaged'), (train, flip, 'train-.*CRC'),
            (test, lambda f: f.write_text(''), 'test-.*damaged'),
            ('card.json', lambda f: f.write_text('{"a"'), 'card.json is damaged'),
            ('card.json', lambda f: f.write_text('[]'), 'card.json is damaged'),
            ('card.json', lambda f: f.write_bytes(b'\xff\xfe'), 'card.json is damaged'),
            ('card.json', other_card, 'not what card.json says'),
            ('card.json', other_axes, 'not what card.json says')]:
        with pytest.raises(DatasetError, match=message): read_dataset(damaged(file, change))
    with pytest.raises(DatasetError, match='is not there'): read_dataset(tmp_path/'nowhere')


def test_layout_for_load_dataset(two, tmp_path, monkeypatch):
    datasets = needed('datasets')
    dataset = distill(two)
    write_dataset(dataset, tmp_path/'data')
    loaded = datasets.load_dataset(str(tmp_path/'data'), cache_dir=str(tmp_path/'cache'))
    assert loaded['train'].to_list() == dataset.train.to_pylist()
    assert loaded['test'].to_list() == dataset.held_out.to_pylist()
    assert set(loaded) == {'train', 'test'}


def test_push(two, tmp_path, monkeypatch):
    write_dataset(distill(two), tmp_path/'data')
    monkeypatch.setitem(sys.modules, 'datasets', None)
    with pytest.raises(DatasetError, match=r"pip install 'elm_nb\[hub\]'"):
        push(tmp_path/'data', 'me/walkers')
    done = []
    def load_dataset(folder): return SimpleNamespace(push_to_hub=lambda name: done.append((folder, name)))
    def upload_file(**kwargs): done.append((kwargs['path_in_repo'], kwargs['repo_id']))
    monkeypatch.setitem(sys.modules, 'datasets', SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(huggingface_hub, 'upload_file', upload_file)
    push(tmp_path/'data', 'me/walkers')
    assert done == [(str(tmp_path/'data'), 'me/walkers'),
        ('README.md', 'me/walkers'), ('card.json', 'me/walkers')]
    with pytest.raises(DatasetError, match='is not there'): push(tmp_path/'nowhere', 'me/walkers')


def test_equal_only_if_equal(two):
    dataset = distill(two)
    assert dataset == Dataset(dataset.train, dataset.held_out, dict(dataset.card))
    assert dataset != distill(two, threshold=0.8)
