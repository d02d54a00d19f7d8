"""inverse deletions of programs of runs: inverse.py OUT n_per_run run..."""
import sys, json, collections, ast, copy
sys.path.insert(0,'/work/main')
from elm_nb.search.run import Run
from elm_nb.search.map_elites import GridArchive
from elm_nb.language import lessons as L
from elm_nb.sodarace.domain import Sodarace
from elm_nb.launch import launch, count_evaluators
import numpy as np
L.MAX_LINES=8; L.MAX_OLD=4
def bodies(tree):
    for n in ast.walk(tree):
        for f in ('body','orelse'):
            b=getattr(n,f,None)
            if isinstance(b,list) and b and not isinstance(n,ast.Module): yield n,f
def uses(s): return {n.id for n in ast.walk(s) if isinstance(n,ast.Name)}
def delete(program,rng):
    t=ast.parse(program)
    if rng.random()<.4: # a run of statements
        bs=list(bodies(t)); n,f=bs[rng.integers(len(bs))]; b=getattr(n,f)
        k=min(len(b)-1,int(rng.integers(1,7)))
        if k<1: return None
        i=int(rng.integers(len(b)-k+1)); del b[i:i+k]
    else: # a name with what uses it
        fs=[n for n in ast.walk(t) if isinstance(n,ast.FunctionDef)]
        f=fs[rng.integers(len(fs))]
        names=sorted({n.id for s in f.body for n in ast.walk(s) if isinstance(n,ast.Name) and isinstance(n.ctx,ast.Store)})
        if not names: return None
        name=names[rng.integers(len(names))]
        def clean(b):
            out=[]
            for s in b:
                if name not in uses(s): out.append(s); continue
                if hasattr(s,'body') and not isinstance(s,ast.FunctionDef):
                    head=[x for fld,x in ast.iter_fields(s) if fld not in('body','orelse')]
                    if any(name in uses(x) for x in head if isinstance(x,ast.AST)): continue
                    s.body=clean(s.body)
                    if s.body: out.append(s)
            return out
        f.body=clean(f.body)
        if not f.body: return None
    return ast.unparse(t)
def labels(b0,b1,STEP=2.):
    (h0,w0,m0),(h1,w1,m1)=b0,b1
    s=[]
    if m1>m0: s.append('Added joints.')
    if m1<m0: s.append('Removed joints.')
    if w1-w0>=STEP: s.append('Made the walker wider.')
    if w0-w1>=STEP: s.append('Made the walker narrower.')
    if h1-h0>=STEP: s.append('Made the walker taller.')
    if h0-h1>=STEP: s.append('Made the walker lower.')
    return s
if __name__=='__main__':
    out,n,*folders=sys.argv[1:]; n=int(n)
    dom=Sodarace(); rng=np.random.default_rng(1); c=collections.Counter(); rows=[]
    for f in folders:
        with Run(f) as run:
            es=[e for e in run.entries("verdict in ('new','improved','drifted')")]
        progs={}
        last={}
        ar=GridArchive(Sodarace.axes)
        for e in es: last[int(ar.niche([e.behavior])[0])]=e
        # champions at the end, and openers of niches
        pool=list({e.program:e for e in [*last.values(),*(e for e in es if e.verdict=='new')]}.values())
        seen=collections.Counter(); got=0
        for _ in range(n*20):
            if got>=n: break
            e=pool[rng.integers(len(pool))]; after=ast.unparse(ast.parse(e.program))
            c['tried']+=1
            before=delete(after,rng)
            if before is None or before==after: c['nothing']+=1; continue
            o=L._one_place(before.split('\n'),after.split('\n'))
            if o is None: c['not one place']+=1; continue
            i,j,a,b=o
            key=('\n'.join(before.split('\n')[i:j]),'\n'.join(after.split('\n')[a:b]))
            if seen[key]>=2: c['seen']+=1; continue
            x=dom.evaluate(before)
            if x.status!='ok' or x.fingerprint==e.fingerprint: c['before '+x.status]+=1; continue
            ls=labels(x.behavior,e.behavior)
            seen[key]+=1; got+=1
            c['got']+=1; c['lines',b-a]+=1
            for l in ls: c[l]+=1
            rows.append(('inverse',before,after,ls,0,f))
    print(c); json.dump(rows,open(out,'w'))
