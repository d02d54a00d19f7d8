import sys; sys.path.insert(0,'/tmp/wt-wall')
import torch; torch.set_num_threads(2)
from elm_nb.language import mutator as M, lessons as L
from elm_nb.language.model import load_model
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.search.edit import make
M.KEEP_PREFIX=0.; M.MAX_LINES=8; M.MAX_OLD=4; M.MAX_TOKENS['infill']=224
m=M.DiffMutator(load_model('/tmp/lm/txs/adapter','cpu',torch.bfloat16),{'Added joints.':1.})
d=Sodarace()
for p in m.propose(SEEDS['square'],8,[1]):
    e=d.evaluate(p.applied.source); print(p.applied.status,e.status,e.detail,e.behavior); print(p.raw[:500]); print('--')
