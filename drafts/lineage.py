"macro edits from lineages of a run"
import sys, json, collections
sys.path.insert(0,'/work/main')
from elm_nb.search.run import Run
from elm_nb.language import lessons as L
import numpy as np
L.MAX_LINES=10; L.MAX_OLD=8
folder,out=sys.argv[1:3]
with Run(folder) as run:
    acc={e.id:e for e in run.entries("verdict in ('new','improved','drifted')")}
print(len(acc),'accepted')
c=collections.Counter(); found={}
K=15
for e in acc.values():
    after=e.program; m=e.behavior[2]; p=e; 
    for k in range(1,K+1):
        if p.parent is None: break
        p=acc[p.parent]
        if p.behavior[2]>=m: continue
        c['more joints',k]+=1
        o=L._one_place(p.program.split('\n'), after.split('\n'))
        if o is None: c['not one place']+=1; continue
        i,j,a,b=o
        key=(p.program,after)
        if key not in found:
            found[key]=(k, j-i, b-a, p.behavior[2], m)
            c['kept',k]+=1; c['new lines',b-a]+=1; c['gain',m-p.behavior[2]]+=1
print(len(found)); 
for k,v in sorted(c.items(),key=str): print(k,v)
json.dump([[*k,*map(float,v)] for k,v in found.items()], open(out,'w'))
