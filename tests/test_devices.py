"""Nothing is on the wrong device

The models are on torch's device `meta` here, whose tensors have a shape and no numbers. As on a GPU, they are
refused where they meet tensors of the CPU; and where a number is asked for, it is zero, or true.
"""
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from elm_nb.invention.conditional import TENS, ValueNetwork, make_policy
from elm_nb.invention.generator import Generator
from elm_nb.invention.reinforce import ReinforceConfig, reinforce
from elm_nb.language.adapter import add_lora
from elm_nb.language.model import LanguageModel, load_model, save_tiny_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.language.sampler import Request
from elm_nb.language.training import Text, TrainConfig, pack, train
from elm_nb.launch import Workers
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.sodarace.terrain import TERRAINS

aten = torch.ops.aten
INDEXING = {aten.index.Tensor, aten.index_put_.default}


class AsAGPU(TorchDispatchMode):
    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        # indices of the CPU go with a tensor of the GPU
        meeting = [args[0], *args[2:]] if op in INDEXING and args[0].is_meta else (args, kwargs)
        tensors = [leaf for leaf in tree_leaves(meeting) if isinstance(leaf, torch.Tensor)]
        devices = {t.device.type for t in tensors if t.dim()}
        if len(devices) > 1 and op is not aten.copy_.default:
            raise RuntimeError(f'{op} of tensors on {devices}')
        return op(*args, **(kwargs or {}))


@pytest.fixture
def as_gpu(monkeypatch):
    "Refuse what a GPU refuses; what is brought to the CPU is zero, or true"
    def zeros(t): return torch.full(t.shape, t.dtype == torch.bool, dtype=t.dtype) if t.is_meta else t
    for name in ('tolist', 'item', '__bool__', '__int__', '__float__', 'cpu'):
        def give(self, original=getattr(torch.Tensor, name)): return original(zeros(self))
        monkeypatch.setattr(torch.Tensor, name, give)
    def to(self, *args, original=torch.Tensor.to, **kwargs):
        return original(zeros(self) if 'cpu' in args else self, *args, **kwargs)
    monkeypatch.setattr(torch.Tensor, 'to', to)
    monkeypatch.setattr(LanguageModel, 'ends', {5}) # token 0 is all that is ever sampled, and ends nothing
    with AsAGPU(): yield


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.setattr(Workers, 'device', 'meta')
    return Workers()


@pytest.fixture
def model(tmp_path): return load_model(save_tiny_model(tmp_path/'tiny'), 'meta', torch.float32)


def test_what_this_finds(model, as_gpu):
    with pytest.raises(RuntimeError, match='embedding'): model.model(torch.tensor([[1, 2]]))
    with pytest.raises(RuntimeError, match='add'): model.model.lm_head.weight + torch.zeros(257, 32)


@pytest.mark.parametrize('top_p', [1., 0.9])
def test_sampling(model, as_gpu, top_p):
    soft = torch.zeros(2, 32, device='meta')
    requests = [Request('x = 1', 3, tails=[' + 2', ' + 3', '*4'], guesses=['\n', ' - 5', '\n']),
        Request('y =', 2, soft_prompt=soft)]
    samples = model.sample_all(requests, 8, top_p=top_p)
    assert [[len(s.tokens) for s in found] for found in samples] == [[8]*3, [8]*2]


@pytest.mark.parametrize('format', ['infill', 'unified'])
def test_proposing(model, as_gpu, format):
    mutator = DiffMutator(model, Sodarace.messages, format=format)
    found = mutator.propose_all([(SEEDS['square'], 3, [0])]*2)
    assert [len(proposals) for proposals in found] == [3, 3]


def test_learning(model, workers, as_gpu, tmp_path):
    texts = [Text((1, 2, 3, 4), 2), Text((1, 2, 5), 1), Text((6, 7), 1)]
    trained = add_lora(model, 2, 4, 0)
    for k, what in enumerate((texts, pack(texts, 5))):
        log = train(trained, what, what, TrainConfig(2, 2, 2, check_every=1), tmp_path/str(k), workers)
        assert log


@pytest.mark.parametrize('algorithm', ['ppo', 'rloo'])
@pytest.mark.parametrize('ten', TENS)
def test_reinforcement(model, workers, as_gpu, ten, algorithm):
    domains = {TERRAINS[name]: Sodarace(name) for name in ('flat', 'bumpy')}
    generator = Generator(model, 8)
    policy = make_policy(generator, list(domains), ten)
    value = ValueNetwork(policy) if algorithm == 'ppo' else None
    config = ReinforceConfig(iterations=1, samples=4, together=2, batch=4, micro_batch=2, algorithm=algorithm)
    row, = reinforce(policy, value, generator, domains, config, workers=workers)
    assert row.valid == 0
