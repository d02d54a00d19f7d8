"train.py OUT SPEC.json  (SPEC: list of [before, after, message])"
import sys,json,time,os; sys.path.insert(0,'/tmp/wt-wall')
import torch; torch.set_num_threads(int(os.environ.get('T','2')))
from elm_nb.language import lessons as L, mutator as M
lines=int(os.environ.get('LINES_','8')); L.MAX_LINES=M.MAX_LINES=lines; L.MAX_OLD=M.MAX_OLD=int(os.environ.get('OLD','4')); M.MAX_TOKENS['infill']=224
L.KEEP_PREFIX=float(os.environ.get('KEEP','0.7'))
from elm_nb.language.finetune import FinetuneConfig, train_mutator
from elm_nb.language.human_edits import Change
from elm_nb.sodarace.domain import MESSAGES
out,spec=sys.argv[1:3]
ch=[Change(*x) for x in json.load(open(spec))]
c=FinetuneConfig(edits=10**9,longest=1024,held_out=0.03,lr=float(os.environ.get('LR','5e-4')),bf16=True,epochs=float(os.environ.get('EPOCHS','1')))
t=time.time(); counts,log=train_mutator(ch,MESSAGES,c,out)
print(counts, 'steps',len(log), round(time.time()-t,1),'s'); print([ (l.step,round(l.held_out,3)) for l in log if l.held_out is not None])
