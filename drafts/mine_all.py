import sys,json,time; sys.path.insert(0,'/work/main')
from pathlib import Path
from elm_nb.language import commits as C
from collections import Counter
folders=[]
for r in sorted(Path('/work/.mirror').iterdir()):
    g=r/'repo'
    if (g/'.git').exists(): g=g/'.git'
    if g.exists(): folders.append((r.name,g))
out={}
for name,g in folders:
    t=time.time(); c=Counter()
    try:
        repo=C.open_clone(g); ch=C.commit_edits(repo,c,800)
    except C.CloneError as e: print(name,e); continue
    out[name]=[(*x,C.points(x)) for x in ch]
    print(name, C.licence_of(repo), len(ch), Counter(x[3] for x in out[name]), dict(c), round(time.time()-t), flush=True)
    json.dump(out,open('/tmp/lm/commits.json','w'))
