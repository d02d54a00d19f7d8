"spec.py OUT n_inverse n_gp n_commits seed"
import sys,json,random; sys.path.insert(0,'/work/main')
from elm_nb.language.human_edits import describe
from elm_nb.sodarace.domain import MESSAGES
out,ni,ng,nc,seed=sys.argv[1],*map(int,sys.argv[2:6]); R=random.Random(seed)
inv=json.load(open('/tmp/lm/i2.json')); gp=json.load(open('/tmp/lm/dpool.json')); com=json.load(open('/tmp/lm/commits2.json'))
spec=[]
for r in R.sample(inv,min(ni,len(inv))): spec.append((r[1],r[2],R.choice(r[3]) if r[3] and R.random()<.9 else 'Changed make_walker function.'))
for r in R.sample(gp,min(ng,len(gp))):
    ls=r[3]; m=describe(r[1],r[2],'make_walker')
    m=m if m in MESSAGES else R.choice(list(MESSAGES))
    spec.append((r[1],r[2],R.choice(ls) if ls and R.random()<.6 else m))
ok={'ManimCommunity+manim','TheAlgorithms+Python','WoLpH+numpy-stl','cduck+drawsvg','icaros-usc+pyribs','mahmoud+boltons','mathandy+svgpathtools','mikedh+trimesh','more-itertools+more-itertools','mozman+ezdxf','pythonarcade+arcade','viblo+pymunk','AnswerDotAI+fastcore','AtsushiSakai+PythonRobotics'}
c=[x for k,v in com.items() if k in ok for x in v if x[3]>=4]
for x in R.sample(c,min(nc,len(c))): spec.append(tuple(x[:3]))
R.shuffle(spec); print(len(spec),len(inv),len(gp),len(c)); json.dump(spec,open(out,'w'))
