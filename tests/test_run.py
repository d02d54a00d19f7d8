"Files and folders that are replaced while somebody may end the process at any moment"
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from elm_nb.search import run as run_module
from elm_nb.search.map_elites import GridArchive
from elm_nb.search.run import Entry, Run, Spent, admit, whole_file, whole_folder

STEPS = range(1, 7) # more than there are


class Killed(BaseException): "Stands in for SIGKILL"


def killed_at(step, monkeypatch):
    "Let the process be killed in place of the so-many-th change of the disk"
    left = [step]
    def counted(change):
        def changed(*args, **kwargs):
            left[0] -= 1
            if not left[0]: raise Killed
            return change(*args, **kwargs)
        return changed
    for name in ('rename', 'replace', 'mkdir'): monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(shutil, 'rmtree', counted(shutil.rmtree))


def write(folder, text):
    with whole_folder(folder) as aside:
        for name in 'ab': (aside/name).write_text(text)


def replace_and_be_killed(folder, step, monkeypatch):
    "Was it killed before it was done?"
    with monkeypatch.context() as patched:
        killed_at(step, patched)
        try: write(folder, 'new')
        except Killed: return True
    return False


def whole(folder): return [(folder/name).read_text() for name in 'ab'] in (['old']*2, ['new']*2)


@pytest.mark.parametrize('step', STEPS)
def test_a_folder_is_not_lost_while_it_is_replaced(tmp_path, monkeypatch, step):
    "The next writer finds the old folder or the new one, even if it writes nothing itself"
    folder = tmp_path/'adapter'
    write(folder, 'old')
    replace_and_be_killed(folder, step, monkeypatch)
    with pytest.raises(Killed), whole_folder(folder): raise Killed
    assert whole(folder)
    write(folder, 'new')
    assert (folder/'b').read_text() == 'new' and [f.name for f in tmp_path.iterdir()] == ['adapter']


@pytest.mark.parametrize('step', STEPS)
def test_a_reader_finds_a_whole_folder(tmp_path, monkeypatch, step):
    folder = tmp_path/'adapter'
    write(folder, 'old')
    done = not replace_and_be_killed(folder, step, monkeypatch)
    assert whole(run_module.restored(folder))
    assert (folder/'a').read_text() == ('new' if done else (folder/'b').read_text())


def test_kills_fall_everywhere(tmp_path, monkeypatch):
    "Or the two tests above could not fail"
    write(tmp_path/'adapter', 'old')
    assert replace_and_be_killed(tmp_path/'adapter', 1, monkeypatch)
    assert not replace_and_be_killed(tmp_path/'adapter', STEPS[-1] + 1, monkeypatch)


def test_a_new_folder_is_there_as_a_whole_or_not_at_all(tmp_path):
    with pytest.raises(Killed), whole_folder(tmp_path/'new') as aside:
        (aside/'a').write_text('half')
        raise Killed
    assert not (tmp_path/'new').exists() and not run_module.restored(tmp_path/'new').exists()


def test_a_file_stays_as_it_was(tmp_path):
    file = tmp_path/'state'
    file.write_bytes(b'old')
    with pytest.raises(Killed), whole_file(file) as f:
        f.write(b'half')
        raise Killed
    assert file.read_bytes() == b'old'


def test_only_a_folder_of_that_kind_gets_its_name_back(tmp_path):
    (tmp_path/'mine.old').mkdir()
    assert run_module.restored(tmp_path/'mine', 'base.json') == tmp_path/'mine'
    assert not (tmp_path/'mine').exists()
    (tmp_path/'mine.old'/'base.json').write_text('{}')
    run_module.restored(tmp_path/'mine', 'base.json')
    assert (tmp_path/'mine'/'base.json').exists() and not (tmp_path/'mine.old').exists()


def test_a_log_of_an_earlier_version(tmp_path):
    "It can be read as it is, and gets its new columns when the run goes on"
    with Run(tmp_path, {'seed': 0}) as run:
        for name in Spent._fields: run.db.execute(f'alter table iterations drop column {name}')
        run.db.execute('insert into iterations values (0, 1, 1, 2., 2., 0.5)')
    with Run(tmp_path) as run: assert run.spent() == [] and run.history() == [(1, 1, 2., 2., 0.5)]
    entry = Entry(1, 1, 0, '', '', 'exact', '', '', 'x', 'ok', '', 1., (1.,), '', True, '')
    with Run(tmp_path, {'seed': 0}) as run:
        archive = GridArchive({'length': (0, 10, 5)})
        run.append(admit(archive, [entry]), archive, 2., Spent(1., 0.5, 0.25))
        assert run.spent() == [Spent(1., 0.5, 0.25)] and len(run.history()) == 2


def test_what_did_not_change_is_found_in_the_log(tmp_path):
    "Empty texts are empty in SQL, too; the others come back as they were, but for what has no bytes"
    seed = Entry(0, 0, None, '', '', 'exact', '', '', 'x = 1', 'ok', '', 1., (1.,), '', True, 'new')
    same = replace(seed, id=1, iteration=1, parent=0, program='', status='', runnable=False, verdict='')
    other = replace(same, id=2, diff='-x = 1\n+x = 2', program='x = 2', raw='\udcff', detail='no file \udcff')
    with Run(tmp_path, {'seed': 0}) as run:
        archive = GridArchive({'length': (0, 10, 5)})
        for entries in ([seed], [same, other]): run.append(admit(archive, entries), archive, 0.)
    with Run(tmp_path) as run:
        assert [e.id for e in run.entries("diff = ''")] == [0, 1]
        assert [e.program for e in run.entries()] == ['x = 1', '', 'x = 2']
        assert list(run.entries('id = 2'))[0] == replace(other, raw='?', detail='no file ?')


def test_who_reads_does_not_keep_the_run_from_writing(tmp_path, monkeypatch):
    "Not even who stops in the middle; and the conditions hold for all parts that are read"
    monkeypatch.setattr(run_module, '_AT_ONCE', 2)
    seed = Entry(0, 0, None, '', '', 'exact', '', '', 'x', 'ok', '', 1., (1.,), '', True, 'new')
    archive = GridArchive({'length': (0, 10, 5)})
    with Run(tmp_path, {'seed': 0}) as writer, Run(tmp_path) as reader:
        writer.db.execute('pragma busy_timeout = 100')
        for k in range(5):
            if k == 4: begun = reader.entries(); next(begun)
            new = [replace(seed, id=k, iteration=k, parent=None if k == 0 else 0, fitness=float(k))]
            writer.append(admit(archive, new), archive, 0.)
        assert [e.id for e in begun] == [1, 2, 3, 4]
        assert [e.id for e in reader.entries('id = 0 or fitness > ?', [2.5])] == [0, 3, 4]
