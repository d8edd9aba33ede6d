"""The functions of ``converse_basicsr.prepare`` make what the commands make, and tell what they made."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from prepare_commands import command, raw_lmdb, sr_command

from converse_basicsr import prepare
from converse_basicsr.errors import UserError


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_sr_makes_what_the_command_makes_and_returns_the_record(photographs: Path, tmp_path: Path) -> None:
    sr_command(photographs, tmp_path / 'command', '--scale', 4, 2)
    arguments = {'scales': (4, 2), 'crop': 24, 'step': 12, 'workers': 1}
    made = prepare.prepare_sr(photographs, tmp_path / 'python', **arguments)
    for name in ('gt.lmdb', 'lq_x2.lmdb', 'lq_x4.lmdb'):
        assert raw_lmdb(tmp_path / 'python' / name) == raw_lmdb(tmp_path / 'command' / name)
        assert made.record.members[name] == len(raw_lmdb(tmp_path / 'python' / name)[0])
    assert (tmp_path / 'python/prepare.json').read_bytes() == (tmp_path / 'command/prepare.json').read_bytes()
    assert made.is_new
    assert made.output == tmp_path / 'python'
    again = prepare.prepare_sr(str(photographs), str(tmp_path / 'python'), **arguments)
    assert not again.is_new
    assert again.record == made.record
    assert prepare.Record.read(tmp_path / 'python/prepare.json') == made.record


def test_testset_makes_what_the_command_makes_one_data_set_for_each_scale(photographs: Path, tmp_path: Path) -> None:
    command('testset', '--input', photographs, '--output', tmp_path / 'command', '--scale', 4, 2, '--workers', 1)
    made = prepare.prepare_testset(photographs, tmp_path / 'python', scales=(4, 2), workers=1)
    assert files(tmp_path / 'python') == files(tmp_path / 'command')
    assert [one.record.parameters['scale'] for one in made] == [2, 4]
    assert [one.record.members for one in made] == [{'GTmod2': 5, 'LRbicx2': 5}, {'GTmod4': 5, 'LRbicx4': 5}]


def test_clean_images_kernels_and_demo_can_be_made(photographs: Path, tmp_path: Path) -> None:
    made = prepare.prepare_denoise(photographs, tmp_path / 'denoise', gray=True, workers=1)
    assert made.record.members == {'gt.lmdb': 5}
    made = prepare.prepare_deblur(photographs, tmp_path / 'deblur', crop=24, workers=1)
    assert made.record.parameters == {'command': 'deblur', 'gray': False, 'crop': 24, 'step': 12}
    made = prepare.prepare_kernel_bank(tmp_path / 'bank', number=2, kinds=['motion'])
    assert made.record.files == ['kernel_1.npy', 'kernel_2.npy', 'kernels.png']
    assert np.load(tmp_path / 'bank/kernel_2.npy').shape == (7, 7)
    made = prepare.prepare_demo(tmp_path / 'demo', workers=1)
    assert made.record.files == ['SOURCES.txt']
    assert made.record.members['val/GTmod4'] == 2


def test_impossible_values_are_refused_before_anything_is_written(photographs: Path, tmp_path: Path) -> None:
    output = tmp_path / 'out'
    with pytest.raises(UserError, match=r'--crop must be a multiple of --scale 4, got 50'):
        prepare.prepare_sr(photographs, output, crop=50)
    with pytest.raises(ValueError, match=r'scales must be one or several factors of at least 2, got \[\]'):
        prepare.prepare_sr(photographs, output, scales=())
    with pytest.raises(ValueError, match='scales must be one or several factors of at least 2'):
        prepare.prepare_testset(photographs, output, scales=(1, 2))
    with pytest.raises(ValueError, match='crop and step must be at least 1, got 24 and 0'):
        prepare.prepare_deblur(photographs, output, crop=24, step=0)
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        prepare.prepare_denoise(photographs, output, workers=0)
    with pytest.raises(ValueError, match='number must be at least 1, got 0'):
        prepare.prepare_kernel_bank(output, number=0)
    with pytest.raises(ValueError, match='kernel_size must be an odd number of at least 3, got 4'):
        prepare.prepare_kernel_bank(output, size=4)
    with pytest.raises(ValueError, match='kernel_kinds must be some of'):
        prepare.prepare_kernel_bank(output, kinds=['bank'])
    with pytest.raises(UserError, match='no such released weights'):
        prepare.prepare_weights(['other.pth'], output)
    assert not output.exists()


def test_importing_the_functions_imports_nothing_heavy() -> None:
    code = (
        'import sys, converse_basicsr.prepare; '
        'print(sorted({"torch", "cv2", "numpy", "basicsr", "lmdb"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == '[]\n'
