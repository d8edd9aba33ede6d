"""Package metadata; tool settings (ruff, import-linter, mypy, pytest) are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# The one place that says where the project lives: links of the long description, which a package index shows far from
# the files beside it, are made of this address.
PROJECT_URL = 'https://github.com/converse-basicsr/converse_basicsr'

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'converse_basicsr/version.py').read_text(encoding='utf-8'))[1]


def absolute_links(markdown: str) -> str:
    """Make the relative links and images of a page at the top of the repository absolute.

    They lead to the tag of this version, or to the branch ``main`` where the version is one under development. Links to
    headings of the page itself stay.
    """
    tree = 'main' if 'dev' in VERSION else f'v{VERSION}'

    def absolute(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if re.match(r'#|[a-z]+:', target):
            return match[0]
        view = 'raw' if mark else 'tree' if target.endswith('/') else 'blob'
        return f'{mark}[{text}]({PROJECT_URL}/{view}/{tree}/{target})'

    return re.sub(r'(!?)\[([^\]]*)\]\(([^)\s]+)\)', absolute, markdown)


# The option files live at the top level, where users look for them, and travel in the wheel as package data.
OPTION_PACKAGES = {
    f'converse_basicsr.option_files.{folder}'.rstrip('.'): f'options/{folder}'.rstrip('/')
    for folder in ['', *sorted(p.name for p in (ROOT / 'options').iterdir() if p.is_dir())]
}

EXTRAS = {
    # What trains and prepares data. On Python 3.13 and later pip cannot build BasicSR (`basicsr setup` can): there the
    # extra brings the rest.
    'basicsr': ["basicsr>=1.4.2; python_version < '3.13'", 'lmdb', 'scikit-image', 'scipy', 'torchvision'],
    # mmcv-lite and mmcv install the same package, and the lite one would overwrite a full one: only who asks for it by
    # this name gets it, not who asks for all.
    'mmcv-lite': ['mmcv-lite>=2.0'],
    'plot': ['matplotlib'],
    # About 110 MB installed. torch's exporter is written in onnxscript, and what it wrote is run by onnxruntime. Older
    # versions of torch cannot follow every network, or cannot write what they followed.
    'export': ['onnx>=1.16', 'onnxruntime>=1.18', 'onnxscript>=0.2', 'torch>=2.8'],
    'safetensors': ['safetensors>=0.4'],
    'spandrel': ['spandrel>=0.4'],
    'dev': [
        # Each new series finds more: one series for everybody.
        'ruff==0.17.*',
        'mypy==2.4.*',
        'types-PyYAML',
        'types-tqdm',
        'import-linter>=2.10',
        'pytest>=8',
        'pytest-xdist>=3.2',
        'hypothesis>=6',
        'jsonschema>=4',
        'matplotlib',
        'safetensors>=0.4',
        # Tests read the metadata and build the wheel. BasicSR itself: basicsr setup.
        'setuptools>=77',
        'lmdb',
        'scikit-image',
        'scipy',
        'torchvision',
    ],
}

ALL = sorted({requirement for extra in EXTRAS if extra != 'mmcv-lite' for requirement in EXTRAS[extra]})

setup(
    name='converse-basicsr',
    version=VERSION,
    description='Reverse convolution (Converse2D) for BasicSR: operator, networks, training and evaluation',
    long_description=absolute_links((ROOT / 'README.md').read_text(encoding='utf-8')),
    long_description_content_type='text/markdown',
    url=PROJECT_URL,
    project_urls={
        'Documentation': f'{PROJECT_URL}/tree/main/docs',
        'Changelog': f'{PROJECT_URL}/blob/main/CHANGELOG.md',
        'Issues': f'{PROJECT_URL}/issues',
        'Paper': 'https://arxiv.org/abs/2508.09824',
    },
    license='Apache-2.0',
    keywords=['image restoration', 'super-resolution', 'denoising', 'deblurring', 'BasicSR', 'reverse convolution'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Processing',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    packages=[*find_packages(include=['converse_basicsr', 'converse_basicsr.*']), *OPTION_PACKAGES],
    package_dir=OPTION_PACKAGES,
    package_data={'converse_basicsr': ['py.typed'], **{name: ['*.yml'] for name in OPTION_PACKAGES}},
    install_requires=[
        'numpy',
        'opencv-python',
        'pillow>=10.1',
        'pyyaml',
        'torch>=2.4',
        'tqdm',
    ],
    extras_require={**EXTRAS, 'all': ALL},
    entry_points={
        'console_scripts': ['basicsr = converse_basicsr.cli:main'],
        'basicsr.plugins': ['converse_basicsr = converse_basicsr.register:register'],
    },
)
