"""Write docs/options.md from the definitions of the option files' keys.

python scripts/document_options.py            # rewrites docs/options.md
python scripts/document_options.py --check    # exit status 1 if it is not what the definitions give
"""

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr.options import keys as definitions
from converse_basicsr.options.keys import Key, Keys
from converse_basicsr.values import KEYWORDS, describe

DOCUMENT = Path(__file__).resolve().parents[1] / 'docs/options.md'

INTRODUCTION = """\
# Option files

*Made by `python scripts/document_options.py` from `converse_basicsr/options/keys/`, which `basicsr check` and
`basicsr schema` use too.*

An option file is YAML: a run, with its data, networks, losses and schedule. BasicSR's own files work as they are.

- `basicsr check -opt FILE` lists everything that would stop the run, one problem per line: `FILE:LINE key: what is
  wrong; what to do`. `basicsr train` and `basicsr test` begin with the same check and write nothing before it has
  passed. With `--dry-run` it also does one iteration and scores one image of each set, and writes nothing.
- `--force_yml section:key=value` overrides a key. The value is read as YAML; a key that the file does not have may be
  given if it is one of those below.
- `basicsr schema > options.schema.json` writes a JSON Schema with every registered name and its arguments, those of
  installed plugins included. With the line `# yaml-language-server: $schema=options.schema.json` at the top of an
  option file, editors complete and check it.
- Reading a file runs no code: plain values only, no Python tags; `2e-4` is a number and `2026-01-31` text.
  Checkpoints are read with `weights_only=True`.
- An unknown key is an error, so that a misspelt one does not go unnoticed. Keys at the top whose names begin
  with a dot or an underscore are yours, for YAML anchors. Keys that older option files have and nothing reads are
  accepted.

In the tables, **train** and **test** mark keys that are needed for training or testing, **needed** those that are
always needed.
"""

PLUGINS = """\
## Keys of plugins

What the datasets and models of other plugins read cannot be known: their sections may have any key, and the common
ones are checked. A plugin has all of them checked if it declares its own with JSON Schema, in an attribute of the
class:

```python
class MyDataset(Dataset):
    option_keys = {
        'dataroot_gt': {'type': 'string', 'description': 'ground truth'},
        'strength': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'of the degradation'},
    }


class MyModel(SRModel):  # the keys of SRModel are known already
    option_keys = {'train': {'my_weight': {'type': 'number'}}, 'val': {}, 'options': {}}
```

These keywords are supported:
UNDERSTOOD.
They have the meaning of [JSON Schema](https://json-schema.org/draft/2020-12) (draft 2020-12), except that `2.0` is no
`integer`: Python's `range` and PyTorch's sizes do not take it. A declaration with another keyword is refused by
`basicsr check`, `train`, `test` and `schema`, with the class, the key and the keyword.

The arguments of networks, losses and metrics need no declaration: they are taken from the signatures. Annotations,
where there are any, say what a value may be.
"""


def main() -> int:
    """Rewrite or check the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='only compare')
    text = document()
    if parser.parse_args().check:
        return int(DOCUMENT.read_text(encoding='utf-8') != text)
    DOCUMENT.write_text(text, encoding='utf-8')
    return 0


def document() -> str:
    """Return the text of docs/options.md."""
    parts = [
        INTRODUCTION,
        _section('At the top', definitions.GENERAL),
        '`network_d` and further `network_NAME` are sections like `network_g`.\n',
        _section('`datasets: NAME:`', definitions.DATASET),
        _section('`datasets: NAME: io_backend:`', definitions.IO_BACKEND, level=3),
        *(_section(f'`type: {name}`', keys, level=3) for name, keys in definitions.DATASETS.items()),
        _section('`network_g:`', definitions.NETWORK),
        'Besides `type` (a registered architecture, `basicsr list arch`) and these, it takes the arguments of its\n'
        'class. Those of this package are in [networks.md](networks.md).\n',
        _section(
            '`path:`', {**{f'{name}g': key for name, key in definitions.NETWORK_PATH.items()}, **definitions.PATH}
        ),
        'The first three exist for every network: `pretrain_network_d` for `network_d`.\n\n'
        'Weights that this package wrote state their network. Where an argument of it differs from the option file\n'
        'and the weights fit both, as with `operator: conv` and `convtranspose`, `padding`,\n'
        '`padding_mode` and `num_iter`, then `basicsr check`, `train` and `test` say so in a note.\n',
        _section('`train:`', definitions.TRAIN),
        _of_models('train'),
        _section('`train: optim_g:`', definitions.ARGUMENTS['optimizer'], level=3),
        "BasicSR's models know `type: Adam`; `RestorationModel` takes any of `torch.optim`, with its arguments, that\n"
        'steps on the gradients of all parameters without calling the network again (`LBFGS`, `SparseAdam` and `Muon`\n'
        'do not).\n\n'
        '`RestorationModel` reads `kernel_lr_mult` and `lam_lr_mult`, as do models of plugins that derive from it.\n'
        'Warm-up and schedule keep the factors, but a cosine ends at `eta_min` for all. A network without reverse\n'
        'convolutions takes 1 only. The factors that a run began with are part of its states.\n',
        _section('`train: scheduler:`', definitions.ARGUMENTS['scheduler'], level=3),
        '`type: MultiStepLR` takes `milestones`, `gamma`, `restarts` and `restart_weights`, and\n'
        '`type: CosineAnnealingRestartLR` takes `periods`, `restart_weights` and `eta_min`. The sum of `periods` must\n'
        'reach `total_iter`.\n',
        _section('`train: pixel_opt:` and other losses', definitions.ARGUMENTS['loss'], level=3),
        'Besides `type` (`basicsr list loss`) and these, it takes the arguments of its class. With `reduction: none`\n'
        'there is nothing to minimise. `PerceptualLoss` goes under `perceptual_opt`; PyTorch downloads its weights,\n'
        'and without a network `basicsr check` says where to put them.\n',
        _section('`val:`', definitions.VAL),
        _of_models('val'),
        _section('`val: metrics: NAME:`', definitions.ARGUMENTS['metric'], level=3),
        'Besides `type` (`basicsr list metric`) and these, it takes the arguments of its function.\n',
        _section('`logger:`', definitions.LOGGER),
        _section('`logger: wandb:`', definitions.WANDB, level=3),
        _section('`dist_params:`', definitions.DIST_PARAMS),
        "BasicSR's option files all ask for `backend: nccl`, which needs GPUs. On the CPU gloo takes its place, so\n"
        'that they run there too. gloo works between GPUs as well, more slowly; mpi is refused unless PyTorch was\n'
        'built with it.\n',
        '## Keys at the top that some models read\n',
        _of_models('options'),
        PLUGINS.replace('UNDERSTOOD', _understood()),
    ]
    return '\n'.join(parts)


def _understood() -> str:
    """Return the keywords of JSON Schema that are understood, a comma between them, in lines of normal length."""
    return textwrap.fill(', '.join(f'`{keyword}`' for keyword in KEYWORDS), 118)


def _section(title: str, keys: Keys, *, level: int = 2) -> str:
    rows = ''.join(f'{_row(name, key)}\n' for name, key in keys.items() if not key.unread)
    return f'{"#" * level} {title}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}'


def _row(name: str, key: Key) -> str:
    default = f'`{key.default}`' if key.default else ''
    if key.needed:
        default = {'always': '**needed**'}.get(key.needed, f'**{key.needed}**')
    value = describe(key.schema).replace('a section with keys of its own', 'a section').replace('|', r'\|')
    return f'| `{name}` | {value} | {default} | {key.meaning} |'


def _of_models(part: str) -> str:
    """Return the table of the keys that some models read in a section, each with these models."""
    rows = []
    for name, key, models in _readers(part):
        rows.append(f'{_row(name, key)} {", ".join(models)} |\n')
    return (
        f'{"Some keys are read by some models only:" if part != "options" else ""}\n\n'
        f'| key | value | default | meaning | models |\n|---|---|---|---|---|\n{"".join(rows)}'
    ).lstrip('\n')


def _readers(part: str) -> Iterator[tuple[str, Key, list[str]]]:
    found: list[tuple[str, Key, list[str]]] = []
    for model, keys in definitions.MODELS.items():
        for name, key in getattr(keys, part).items():
            for other, other_key, models in found:
                if (other, other_key) == (name, key):
                    models.append(model)
                    break
            else:
                found.append((name, key, [model]))
    for name, key, models in found:
        others = [model for model in definitions.MODELS if model not in models]
        yield name, key, models if len(others) >= len(models) else ['all', *(f'not {model}' for model in others)]


if __name__ == '__main__':
    sys.exit(main())
