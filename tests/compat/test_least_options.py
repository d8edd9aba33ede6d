"""What is patched works with the least that BasicSR accepts: each case runs with the patch and without."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converse_basicsr import compat
from converse_basicsr.checkpoints import files

LEAST: dict[str, Any] = {'num_gpu': 0, 'is_train': True}
"""What BasicSR's ``BaseModel`` reads of the options when it is made."""


def model(folder: Path, **options: Any) -> Any:
    from basicsr.models.base_model import BaseModel

    return BaseModel({**LEAST, 'path': {'models': str(folder), 'training_states': str(folder)}, **options})


def images() -> Any:
    class Images(torch.utils.data.Dataset):
        opt = {'name': 'val'}  # noqa: RUF012

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {'lq': torch.rand(3, 8, 8), 'gt': torch.rand(3, 8, 8), 'lq_path': '0.png'}

    return torch.utils.data.DataLoader(Images())


def sr_model(**options: Any) -> Any:
    """An SRModel that changes nothing, with the options that BasicSR reads to validate it."""
    from basicsr.models.sr_model import SRModel

    made = SRModel.__new__(SRModel)
    super(SRModel, made).__init__({**LEAST, 'is_train': False, 'val': {}, **options})
    made.net_g = torch.nn.Identity()
    return made


def save_network(folder: Path) -> None:
    model(folder).save_network(torch.nn.Linear(1, 1), 'net_g', 1)
    assert torch.load(folder / 'net_g_1.pth', weights_only=True)['params'].keys() == {'weight', 'bias'}


def save_network_with_an_empty_section(folder: Path) -> None:
    model(folder, logger=None, network_g=None).save_network([torch.nn.Linear(1, 1)] * 2, 'net_g', -1, ['a', 'b'])
    assert {'a', 'b'} <= torch.load(folder / 'net_g_latest.pth', weights_only=True).keys()


def save_state(folder: Path) -> None:
    model(folder).save_training_state(0, 1)
    assert torch.load(folder / '1.state', weights_only=True)['iter'] == 1


def load_network(folder: Path) -> None:
    torch.save({'params': torch.nn.Linear(1, 1).state_dict()}, folder / 'net.pth')
    model(folder).load_network(torch.nn.Linear(1, 1), str(folder / 'net.pth'))


def put_on_device(folder: Path) -> None:
    assert model(folder, dist=False).model_to_device(torch.nn.Linear(1, 1)) is not None


def average(folder: Path) -> None:
    made = model(folder)
    made.net_g = made.net_g_ema = torch.nn.Linear(1, 1)
    made.model_ema()


def validate(folder: Path) -> None:
    made = sr_model(dist=False)
    made.validation(images(), 1, None)
    assert made.opt == {**LEAST, 'is_train': False, 'val': {}, 'dist': False}


def validate_as_rank_0(folder: Path) -> None:
    sr_model(rank=0, dist=True).validation(images(), 1, None)


def validate_and_save(folder: Path) -> None:
    made = sr_model(dist=False, is_train=True, path={'visualization': str(folder)})
    made.validation(images(), 1, None, save_img=True)
    assert made.opt['path'] == {'visualization': str(folder)}
    assert (folder / '0/0_1.png').is_file()


def measure(folder: Path) -> None:
    from basicsr.metrics import calculate_metric

    image = np.zeros((32, 32, 3), np.uint8)
    assert calculate_metric({'img': image, 'img2': image}, {'type': 'calculate_psnr', 'crop_border': 0}) == float('inf')


def to_image(folder: Path) -> None:
    from basicsr.utils import tensor2img

    assert tensor2img(torch.rand(3, 4, 4)).shape == (4, 4, 3)
    assert len(tensor2img([torch.rand(1, 4, 4), torch.rand(4, 4)])) == 2


def compress(folder: Path) -> None:
    from basicsr.data.degradations import add_jpg_compression

    assert add_jpg_compression(np.zeros((8, 8, 3), np.float32), 90).shape == (8, 8, 3)


def log(folder: Path) -> None:
    from basicsr.utils import get_root_logger

    get_root_logger().info('a line')


def archive(folder: Path) -> None:
    from basicsr.utils import mkdir_and_rename

    mkdir_and_rename(str(folder / 'run'))
    assert (folder / 'run').is_dir()


def seed(folder: Path) -> None:
    from basicsr.data import worker_init_fn

    torch.manual_seed(0)  # as torch does in each worker
    worker_init_fn(0, num_workers=1, rank=0, seed=0)


def read_ahead(folder: Path) -> None:
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    assert list(PrefetchGenerator([1, 2], 1)) == [1, 2]


def read_lmdb(folder: Path) -> None:
    import lmdb
    from basicsr.utils import FileClient

    path = str(folder / 'a.lmdb')
    environment = lmdb.open(path)
    with environment.begin(write=True) as transaction:
        transaction.put(b'a', b'content')
    environment.close()
    assert FileClient('lmdb', db_paths=path).get('a') == b'content'
    assert FileClient('lmdb', db_paths=[path], client_keys=['gt']).get('a', 'gt') == b'content'


def read_file(folder: Path) -> None:
    from basicsr.utils import FileClient

    (folder / 'a').write_bytes(b'content')
    assert FileClient().get(folder / 'a') == b'content'


def build(folder: Path) -> None:
    from basicsr.archs import build_network

    assert build_network({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1}) is not None


def load_weights(folder: Path) -> None:
    torch.save({'a': torch.ones(1)}, folder / 'a.pth')
    assert torch.load(folder / 'a.pth')['a'] == 1
    with open(folder / 'a.pth', 'rb') as file:
        assert torch.load(file, map_location=lambda storage, loc: storage)['a'] == 1


CASES: list[tuple[str, Callable[[Path], None]]] = [
    ('writing_networks', save_network),
    ('writing_networks', save_network_with_an_empty_section),
    ('writing_states', save_state),
    ('loading_networks', load_network),
    ('loading_without_code', load_weights),
    ('networks_on_cpus', put_on_device),
    ('ema_buffers', average),
    ('saved_images', validate),
    ('saved_images', validate_and_save),
    ('shared_validation', validate_as_rank_0),
    ('shared_validation', measure),
    ('tensor2img', to_image),
    ('jpeg_quality', compress),
    ('log_files', log),
    ('archive_names', archive),
    ('worker_seeds', seed),
    ('prefetch_errors', read_ahead),
    ('lmdb_backend', read_lmdb),
    ('regular_files', read_file),
    ('converse_key', build),
]


@pytest.mark.promise('the least options that BasicSR accepts, in a script of your own')
@pytest.mark.parametrize('patched', [True, False])
@pytest.mark.parametrize(('name', 'case'), CASES, ids=lambda case: getattr(case, '__name__', case))
def test_the_least_that_basicsr_accepts_is_enough(
    name: str, case: Callable[[Path], None], patched: bool, tmp_path: Path
) -> None:
    with contextlib.nullcontext() if patched else compat.disabled(name):
        case(tmp_path)


OTHERS = {'joining', 'option_reading', 'spawned_datasets', 'wandb_ids'}
"""Patches of functions without options, or of what the check and the launcher have looked at before."""


def test_each_patch_has_a_case() -> None:
    assert {name for name, _ in CASES} | OTHERS >= set(compat.PATCHES)


@pytest.mark.parametrize('value', [os.sep.join, object(), torch.ones(1), {1, 2}])
def test_a_section_that_only_code_could_read_is_not_written(tmp_path: Path, value: Any) -> None:
    model(tmp_path, network_g={'type': 'Linear', 'act': value}).save_network(torch.nn.Linear(1, 1), 'net_g', 1)
    assert 'network_g' not in files.read(tmp_path / 'net_g_1.pth')


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    section = {'type': 'Linear', 'scale': np.float64(0.5), 'name': np.str_('a')}
    model(tmp_path, network_g=section).save_network(torch.nn.Linear(1, 1), 'net_g', 1)
    stated = files.read(tmp_path / 'net_g_1.pth')['network_g']
    assert (stated['scale'], stated['name']) == (0.5, 'a')
