"share of edits of held-out walkers that are valid / more joints / new structure / accepted"
import sys, json, gzip, ast, time, argparse
sys.path.insert(0,'/tmp/wt-wall')
import torch, numpy as np
torch.set_num_threads(int(__import__('os').environ.get('T','2')))
from elm_nb.language import mutator as M
from elm_nb.language.model import load_model
from elm_nb.sodarace.domain import Sodarace, MESSAGES
from elm_nb.search.map_elites import GridArchive
from collections import Counter
ap=argparse.ArgumentParser()
ap.add_argument('adapter'); ap.add_argument('--message',action='append'); ap.add_argument('--keep',type=float)
ap.add_argument('--lines',type=int,default=4); ap.add_argument('--temp',type=float,default=1.); ap.add_argument('--topp',type=float,default=.95)
ap.add_argument('--show',type=int,default=0); ap.add_argument('--genetic',action='store_true'); ap.add_argument('--n',type=int,default=16)
ap.add_argument('--seed',type=int,default=0); ap.add_argument('--only')
a=ap.parse_args()
pop=json.loads(gzip.decompress(open('/tmp/wt-wall/elm_nb/data/walkers.json.gz','rb').read()))
pop=[w for w in pop if w['terrain']=='flat']
rng=np.random.default_rng(5)
names=sorted({w['seed'] for w in pop})
parents=[]
for s in names:
    of=[w for w in pop if w['seed']==s]
    parents+=[of[i]['program'].rstrip('\n') for i in rng.permutation(len(of))[:8]]
if a.only: parents=[p for p,s in zip(parents,[s for s in names for _ in range(8)]) if s==a.only]
dom=Sodarace()
if a.keep is not None: M.KEEP_PREFIX=a.keep
M.MAX_LINES=a.lines
t=time.time()
if a.adapter=='genetic':
    from elm_nb.search.genetic import GeneticMutator, OPERATORS
    g=GeneticMutator(); props=[g.propose(p,a.n,[a.seed,i]) for i,p in enumerate(parents)]
else:
    model=load_model(a.adapter,'cpu',torch.bfloat16)
    msgs={m:1. for m in a.message} if a.message else MESSAGES
    mut=M.DiffMutator(model,msgs,temperature=a.temp,top_p=a.topp)
    props=[]
    for i in range(0,len(parents),4): props+=mut.propose_all([(p,a.n,[a.seed,i+j]) for j,p in enumerate(parents[i:i+4])])
sampling=time.time()-t
def struct(p):
    try: t=ast.parse(p)
    except Exception: return (0,0,0)
    own={n.name for n in ast.walk(t) if isinstance(n,ast.FunctionDef)}
    return (sum(isinstance(n,(ast.For,ast.While,ast.ListComp)) for n in ast.walk(t)), len(own),
      sum(isinstance(n,ast.Call) and isinstance(n.func,ast.Name) and n.func.id in own for n in ast.walk(t)))
c=Counter(); shown=0
base={}
for name in names:
    ar=GridArchive(Sodarace.axes)
    for w in pop:
        if w['seed']==name:
            e=dom.evaluate(w['program'].rstrip('\n')); 
            if e.status=='ok': ar.add([e.fitness],[e.behavior],[None])
    base[name]=ar
for k,(p,ps) in enumerate(zip(parents,props)):
    e0=dom.evaluate(p); s0=struct(p)
    ar=base[a.only or names[k//8]]
    for q in ps:
        c['n']+=1; child=q.applied.source
        c['edit '+q.applied.status]+=1
        if child==p: continue
        c['changed']+=1
        e=dom.evaluate(child)
        if e.status!='ok' or e.fingerprint==e0.fingerprint: continue
        c['valid']+=1
        c['new lines %d'%min(9,max(0,child.count('\n')-p.count('\n')))]+=1
        dj=e.behavior[2]-e0.behavior[2]
        if dj>0: c['joints']+=1
        if dj>1: c['joints+2']+=1
        s1=struct(child)
        if any(x>y for x,y in zip(s1,s0)): c['structure']+=1
        nb=ar.niche([e.behavior])[0]
        new=np.isnan(ar.fitness[nb])
        if new or e.fitness>ar.fitness[nb]: c['accepted']+=1
        if new: c['opened']+=1
        if dj>0 and shown<a.show:
            shown+=1; from elm_nb.search.edit import make
            print('\n'.join(make(p,child).split('\n')[2:])); print('   joints',e0.behavior[2],'->',e.behavior[2], 'fit',round(e0.fitness),round(e.fitness)); print()
n=c['n']
print(a.adapter.split('/')[-3:], a.message, 'keep',a.keep,'lines',a.lines,'T',a.temp,'| %.1f edits/s'%(n/sampling), ' '.join(f'{k} {100*c[k]/n:.1f}%' for k in ('changed','valid','joints','joints+2','structure','accepted','opened')), {k:v for k,v in c.items() if k.startswith('edit') or k.startswith('new')})
