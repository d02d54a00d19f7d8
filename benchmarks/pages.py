"""How long does each page take, but for the cells marked slow? .ci/seconds.json

    python benchmarks/pages.py

Runs all notebooks one after the other, in a few minutes on two cores.
"""
import json, re, subprocess
from pathlib import Path

OUT = Path(__file__).parent.parent/'.ci/seconds.json'

if __name__ == '__main__':
    told = subprocess.run(['nbdev-test', '--n-workers', '1', '--timing'], check=True, capture_output=True, text=True).stdout
    OUT.write_text(json.dumps(dict(sorted((name, int(seconds)) for name,seconds in re.findall(r'^(\w+)\.ipynb: (\d+) secs', told, re.M))), indent=1) + '\n')
