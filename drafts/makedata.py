"""macro edits with hindsight messages from runs: makedata.py OUT run..."""
import sys, json, collections, ast
sys.path.insert(0,'/work/main')
from elm_nb.search.run import Run
from elm_nb.language import lessons as L
import numpy as np
L.MAX_LINES=8; L.MAX_OLD=4
out,*folders=sys.argv[1:]
STEP=2.
def labels(b0,b1):
    (h0,w0,m0),(h1,w1,m1)=b0,b1
    s=[]
    if m1>m0: s.append('Added joints.')
    if m1<m0: s.append('Removed joints.')
    if w1-w0>=STEP: s.append('Made the walker wider.')
    if w0-w1>=STEP: s.append('Made the walker narrower.')
    if h1-h0>=STEP: s.append('Made the walker taller.')
    if h0-h1>=STEP: s.append('Made the walker lower.')
    return s
def struct(p):
    t=ast.parse(p); own={n.name for n in ast.walk(t) if isinstance(n,ast.FunctionDef)}
    return (sum(isinstance(n,(ast.For,ast.While,ast.ListComp)) for n in ast.walk(t)), len(own),
      sum(isinstance(n,ast.Call) for n in ast.walk(t)))
rng=np.random.default_rng(0)
by=collections.defaultdict(list); c=collections.Counter()
for f in folders:
    with Run(f) as run: acc={e.id:e for e in run.entries("verdict in ('new','improved','drifted')")}
    for e in acc.values():
        if e.parent is None or e.verdict=='drifted': continue
        p=e
        for k in range(1,13):
            if p.parent is None: break
            p=acc[p.parent]
            ls=labels(p.behavior,e.behavior)
            if k>1 and 'Added joints.' not in ls: continue
            o=L._one_place(p.program.split('\n'), e.program.split('\n'))
            if o is None: c['not one place']+=1; continue
            i,j,a,b=o
            old=p.program.split('\n')[i:j]; new=e.program.split('\n')[a:b]
            key=('\n'.join(old),'\n'.join(new))
            kind='joints' if 'Added joints.' in ls else 'other'
            by[kind,key].append((p.program,e.program,ls,k,f))
print(c, len(by))
rows=[]
for (kind,key),v in by.items():
    # each diff at most twice
    for i in rng.permutation(len(v))[:2]: rows.append((kind,*v[i]))
print(collections.Counter(r[0] for r in rows))
print(collections.Counter((r[0],r[2].count('\n')-r[1].count('\n')) for r in rows))
json.dump(rows,open(out,'w'))
