"""The arguments of ``basicsr prepare``: help, and values that cannot work."""

import subprocess
import sys
import textwrap

import pytest
from prepare_commands import command, sr_command

from converse_basicsr.commands.prepare import group
from converse_basicsr.errors import UserError


def test_help_of_every_command_shows_an_example_and_needs_no_heavy_import():
    code = textwrap.dedent("""
        import argparse, sys
        from converse_basicsr.commands.prepare import group
        parser = argparse.ArgumentParser(prog='basicsr prepare')
        group.add_arguments(parser)
        for name in group.COMMANDS:
            try:
                parser.parse_args([name, '--help'])
            except SystemExit as stop:
                assert stop.code == 0
        print(sorted({'torch', 'cv2', 'numpy', 'basicsr', 'lmdb'} & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith('[]\n')
    for name in group.COMMANDS:
        assert f'basicsr prepare {name}' in done.stdout.split('examples:')[1 + list(group.COMMANDS).index(name)]


@pytest.mark.parametrize(
    ('argv', 'text'),
    [
        (['--crop', 50], '--crop must be a multiple of --scale 4, got 50: give 48 or 52'),
        (['--step', 2], '--step must be a multiple of --scale 4, got 2: give 4'),
        (['--crop', 20, '--scale', 2, 3], '--crop must be a multiple of --scale 3, got 20: give 18 or 21'),
        (['--crop', 24, '--step', 48], '--step must be at most --crop 24, got 48'),
    ],
)
def test_grid_off_the_small_images_pixels_is_refused(photographs, tmp_path, argv, text):
    with pytest.raises(UserError, match=text):
        command('sr', '--input', photographs, '--output', tmp_path / 'out', '--workers', 1, *argv)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('value', ['0', '-1', 'two'])
def test_workers_must_be_positive(value, capsys):
    with pytest.raises(SystemExit):
        command('demo', '--workers', value)
    assert 'must be an integer of at least 1' in capsys.readouterr().err


def test_missing_folder_no_image_and_file_for_folder_are_named(tmp_path):
    (tmp_path / 'empty' / 'inner').mkdir(parents=True)
    (tmp_path / 'file').write_text('')
    for name, text in [('none', 'does not exist'), ('empty', 'holds no image.*inner'), ('file', 'is a file')]:
        with pytest.raises(UserError, match=text):
            sr_command(tmp_path / name, tmp_path / 'out')
