"Reads the package metadata from settings.ini; pyproject.toml lists as dynamic what is set here."
from ast import literal_eval
from configparser import ConfigParser
from pathlib import Path
from re import search

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
meta = config['DEFAULT']
package = (here/'elm_nb/__init__.py').read_text(encoding='utf-8')
version = literal_eval(search(r'__version__ = (.+)', package)[1])
named = [k for k in meta if k.endswith('_requirements')]
extras = {k.removesuffix('_requirements'): meta[k].split() for k in named}

setup(
    version=version,
    description=meta['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=meta['author'],
    author_email=meta['author_email'],
    license=meta['license'],
    keywords=meta['keywords'].split(),
    classifiers=['Programming Language :: Python :: 3', 'Intended Audience :: Science/Research',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    packages=find_packages(include=['elm_nb', 'elm_nb.*']),
    include_package_data=True,
    python_requires='>=' + meta['min_python'],
    install_requires=meta['requirements'].split(),
    extras_require=extras,
    entry_points={'console_scripts': meta['console_scripts'].split(), 'nbdev': ['elm_nb=elm_nb._modidx:d']},
)
