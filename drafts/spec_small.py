import json,random
R=random.Random(1)
inv=json.load(open('/tmp/lm/i2.json'))
a=[r for r in inv if any('add_joint' in l or 'make_' in l for l in r[3])]
R.shuffle(a); a=a[:330]
spec=[]
for r in a:
    ls=[l for l in r[3] if 'joint' in l or 'make_' in l]
    spec.append((r[1],r[2],'Added joints.' if R.random()<.6 else R.choice(ls)))
R.shuffle(spec); print(len(inv),len(a),len(spec)); json.dump(spec,open('/tmp/lm/spec_small.json','w'))
from collections import Counter
print(Counter(x[5].split('/')[-1] for x in a), Counter(s[2] for s in spec).most_common(6))
