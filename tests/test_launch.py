"Processes that are started find each other, whatever else happens on the machine, and leave nothing behind"
import signal
import socket
import sys
import tempfile
import time

import pytest
import torch.multiprocessing
from torch.multiprocessing import start_processes

from elm_nb.launch import LaunchError, Workers, _insistent_interrupt, distributed_map, launch


def _squares(workers, file):
    found = distributed_map(lambda n: (n**2, workers.rank), range(5), workers)
    if workers.is_first: file.write_text(repr((found, str(workers.accelerator.distributed_type))))


def _fails(workers):
    if workers.rank: raise LaunchError('the second process failed')
    workers.wait_for_everyone()


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    "The folder in which temporary files are made"
    (tmp_path/'scratch').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path/'scratch'))
    return tmp_path/'scratch'


def test_a_port_that_another_program_takes(tmp_path, scratch, monkeypatch):
    "Whatever port was free when the processes were started is taken before they use it"
    addresses, thieves = [], []
    class Watched(socket.socket):
        def bind(self, address):
            super().bind(address)
            addresses.append(self.getsockname())
    def steal(*args, **kwargs):
        for address in list(addresses): thieves.append(socket.create_server(address))
        return start_processes(*args, **kwargs)
    with monkeypatch.context() as patched:
        patched.setattr(socket, 'socket', Watched)
        patched.setattr(torch.multiprocessing, 'start_processes', steal)
        launch(_squares, (tmp_path/'found',), 2)
    for thief in thieves: thief.close()
    expected = [(0, 0), (1, 1), (4, 0), (9, 1), (16, 0)]
    assert (tmp_path/'found').read_text() == repr((expected, 'DistributedType.MULTI_CPU'))
    assert not list(scratch.iterdir())


def test_an_error_of_one_process_ends_all(scratch):
    with pytest.raises(LaunchError, match='the second process failed'): launch(_fails, (), 2)
    assert not list(scratch.glob('elm-*'))


def test_one_process_needs_no_others(tmp_path, scratch):
    launch(_squares, (tmp_path/'found',), 1)
    assert (tmp_path/'found').read_text().startswith('([(0, 0), (1, 0), (4, 0)')
    assert Workers().ranks == 1 and not list(scratch.iterdir())


class Destructor:
    def __del__(self): signal.raise_signal(signal.SIGINT)


def test_an_interrupt_in_a_destructor_is_not_lost():
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), _insistent_interrupt():
        Destructor() # Python drops an exception there
        time.sleep(60)
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == (before, hook)
