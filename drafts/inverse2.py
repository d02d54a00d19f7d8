"""inverse deletions with code-level and domain-level messages: OUT n run..."""
import sys, json, collections, ast
sys.path.insert(0,'/tmp/lm')
from inverse import *
def names(p):
    t=ast.parse(p); c=collections.Counter()
    for n in ast.walk(t):
        if isinstance(n,ast.Call):
            c[n.func.attr if isinstance(n.func,ast.Attribute) else getattr(n.func,'id','?')]+=1
        elif isinstance(n,(ast.For,ast.While)): c['#loop']+=1
        elif isinstance(n,ast.FunctionDef): c['#def']+=1
    return c
def code_label(before,after):
    d=names(after)-names(before)
    s=[]
    calls=[k for k in sorted(d,key=lambda k:-d[k]) if k[0]!='#' and k not in('len','range')]
    if d['#def']: s.append('Added a function.')
    if d['#loop']: s.append('Added a loop.')
    if calls: s.append('Added calls of '+' and '.join(sorted(calls[:2]))+'.')
    return s
if __name__=='__main__':
    out,n,*folders=sys.argv[1:]; n=int(n)
    dom=Sodarace(); rng=np.random.default_rng(1); c=collections.Counter(); rows=[]
    for f in folders:
        with Run(f) as run: es=[e for e in run.entries("verdict in ('new','improved','drifted')")]
        pool=[ast.unparse(ast.parse(e.program)) for e in es]; ev=dict(zip(pool,es)); pool=list(ev)
        seen=collections.Counter(); got=0
        for _ in range(n*8):
            if got>=n: break
            after=pool[rng.integers(len(pool))]; e=ev[after]
            c['tried']+=1
            before=delete(after,rng)
            if before is None or before==after: c['nothing']+=1; continue
            o=L._one_place(before.split('\n'),after.split('\n'))
            if o is None: c['not one place']+=1; continue
            i,j,a,b=o
            if b-a<=j-i: c['no growth']+=1; continue
            new=after.split('\n')[a:b]
            import re
            key=re.sub(r'-?\d+(\.\d+)?','0','\n'.join(before.split('\n')[i:j])+'\n>'+'\n'.join(new))
            if seen[key]>=6: c['seen']+=1; continue
            x=dom.evaluate(before)
            if x.status not in('ok','invalid_result') or x.fingerprint==e.fingerprint: c['before '+x.status]+=1; continue
            ls=labels(x.behavior,e.behavior) if x.status=='ok' else []
            ls=code_label(before,after)+ls
            seen[key]+=1; got+=1
            c['got']+=1; c['lines',b-a]+=1
            for l in ls: c[l]+=1
            rows.append(('inverse',before,after,ls,0,f))
    for k,v in sorted(c.items(),key=str): print(k,v)
    json.dump(rows,open(out,'w'))
