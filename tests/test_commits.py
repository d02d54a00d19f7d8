"Clones that cannot be learned from, and odd things in those that can"
import re
from collections import Counter
from pathlib import Path

import pytest
from dulwich import porcelain
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit
from elm_nb.language.commits import CloneError, commit_edits, licence_of, mine_commits, open_clone
from elm_nb.language.commits import points, subject
from elm_nb.language.human_edits import Change
from elm_nb.language.pretrain import _asked, PretrainConfig
from elm_nb.language.training import TrainingError

ADA = b'Ada <ada@example.org>'

def clone(folder, *versions):
    "A repository, with a commit of these files each"
    repo = porcelain.init(str(folder))
    for k,files in enumerate(versions):
        for name,content in files.items():
            (Path(folder)/name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder)/name).write_bytes(content)
        porcelain.add(repo, [str(Path(folder)/name) for name in files])
        porcelain.commit(repo, message=f'Make it say number {k}'.encode(), author=ADA, committer=ADA)
    return repo

def f(k): return f'def f(x):\n    y = x + {k}\n    return y\n'.encode()

def edits(folder):
    counts = Counter()
    return commit_edits(open_clone(folder), counts), counts

def test_files_that_are_no_source(tmp_path):
    "Tests are left out, whatever else has test in its name is not; a byte order mark is no obstacle"
    names = 'a.py', 'latest.py', 'contest/b.py', 'test_c.py', 'pkg/tests/d.py', 'e_test.py', 'conftest.py'
    clone(tmp_path, *({name: b'\xef\xbb\xbf' + f(10*k + i) for i,name in enumerate(names)} for k in (1, 2)))
    found, _ = edits(tmp_path)
    assert sorted(re.search(r'\d+', c.after)[0] for c in found) == ['20', '21', '22']

def test_functions_that_cannot_be_written(tmp_path):
    deep = b'def g(x):\n    return x' + b'+1'*3000
    clone(tmp_path, {'a.py': f(1) + deep}, {'a.py': f(2) + deep + b'+2'})
    found, counts = edits(tmp_path)
    assert len(found) == 1 or not found # too deep to be parsed, here or there
    long = b'def g(x):\n    return 0x' + b'f'*4000
    clone(tmp_path/'long', {'a.py': f(1) + long}, {'a.py': f(2) + long + b'f'})
    found, counts = edits(tmp_path/'long')
    assert len(found) == 1 and counts['unreadable'] == 1

def test_submodules(tmp_path):
    "One whose path ends like Python's, and one that is called like a licence"
    repo = clone(tmp_path, {'a.py': f(1), 'COPYING': b'\xff no text'})
    for pointer in (b'1'*40, b'2'*40):
        blob = Blob.from_string(f(pointer[:1].decode()))
        repo.object_store.add_object(blob)
        tree = commit_tree(repo.object_store, [(b'a.py', blob.id, 0o100644), (b'web.py', pointer, 0o160000),
            (b'licenses', pointer, 0o160000)])
        commit = Commit()
        commit.tree, commit.parents, commit.author, commit.committer = tree, [repo.head()], ADA, ADA
        commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
        commit.message = b'Point elsewhere from now on'
        repo.object_store.add_object(commit)
        repo.refs[b'HEAD'] = commit.id
    assert [c.message for c in edits(tmp_path)[0]] == ['Point elsewhere from now on.']
    assert licence_of(open_clone(tmp_path)) == 'unknown'

def test_clones_that_are_not_whole(tmp_path):
    repo = clone(tmp_path, {'a.py': f(1)}, {'a.py': f(2)})
    gone = next(Path(repo.path).glob(f'.git/objects/{Blob.from_string(f(1)).id[:2].decode()}/*'))
    kept = gone.read_bytes()
    gone.unlink()
    with pytest.raises(CloneError, match='make a whole clone'): mine_commits([tmp_path], 9)
    gone.write_bytes(kept)
    config = repo.get_config()
    config.set((b'remote', b'origin'), b'promisor', b'true')
    config.write_to_path()
    with pytest.raises(CloneError, match='without --filter'): open_clone(tmp_path)

def test_no_repository(tmp_path):
    for folder in (tmp_path, tmp_path/'nothing'):
        with pytest.raises(CloneError, match='no git repository'): open_clone(folder)
    clone(tmp_path/'a', {'a.py': f(1)})
    (tmp_path/'a/.git/HEAD').write_text('ref: refs/heads/gone\n')
    with pytest.raises(CloneError, match='HEAD'): open_clone(tmp_path/'a')

def test_each_edit_once(tmp_path):
    "Forks have the same commits"
    for name in 'ab': clone(tmp_path/name, {'a.py': f(1)}, {'a.py': f(2)}, {'a.py': f(3)})
    mined = mine_commits([tmp_path/'a', tmp_path/'b'], 2)
    assert len(mined.changes) == 2 and [c['name'] for c in mined.clones] == ['a', 'b']
    assert mined == mine_commits([tmp_path/'a', tmp_path/'b'], 2)

@pytest.mark.parametrize('said, kept', [
    ('Handle x[0] and y[i] when empty', 'Handle x[0] and y[i] when empty.'), ('Release the lock early', None),
    ('Release v2.1 of it', ''), ('two words', ''), ('Fix  spaces\rin it (#12)', 'Fix spaces in it.'),
    ('\u00dcber all the hills', ''), ('', ''), (' '*20000 + 'a b c', 'A b c.'),
    ('a ' + ' '*20000 + 'b c', 'A b c.')])
def test_subjects(said, kept): assert subject(said) == (f'{said}.' if kept is None else kept)

def test_points_are_a_sum():
    after = 'def f(x):\n    for k in range(9): x += g(k * 2 + 1) * 3\n    return x'
    change = Change('def f(x):\n    return x', after, 'Sum over k.')
    assert [points(c) for c in (change, Change(after, after, 'Fixed bugs.'))] == [7, 3]

def test_what_is_asked_for(tmp_path):
    "Clones may be elsewhere when a training goes on, and a training without them knows nothing of them"
    assert not {'git', 'commits'} & set(_asked(PretrainConfig()))
    here, there = (_asked(PretrainConfig(git=[tmp_path/folder/'trimesh'])) for folder in 'ab')
    assert here == there and here['git'] == ['trimesh']
    assert PretrainConfig(git='one').git == ('one',)
    hash(PretrainConfig(git=['one']))
    for wrong in (dict(commits=5), dict(git=['a'], commits=0)):
        with pytest.raises(TrainingError, match='no effect'): PretrainConfig(**wrong)
