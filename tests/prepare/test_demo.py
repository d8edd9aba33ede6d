"""``basicsr prepare demo``: photographs that are installed already."""

import pytest
from prepare_commands import command, read_lmdb

from converse_basicsr.errors import UserError
from converse_basicsr.prepare import demo


def test_writes_training_and_validation_images_and_their_licences(tmp_path):
    assert command('demo', '--output', tmp_path / 'demo', '--workers', 1) == 0
    gt, lq = read_lmdb(tmp_path / 'demo/train/gt.lmdb'), read_lmdb(tmp_path / 'demo/train/lq_x4.lmdb')
    assert gt.keys() == lq.keys()
    trained_on = {key.rsplit('_s', 1)[0] for key in gt}
    for name in ('GTmod4', 'LRbicx4'):
        validated_on = {path.stem for path in (tmp_path / 'demo/val' / name).iterdir()}
        assert 'chelsea' in validated_on
        assert 2 <= len(validated_on) <= 4
        assert validated_on.isdisjoint(trained_on)
    text = (tmp_path / 'demo/SOURCES.txt').read_text(encoding='utf-8')
    assert all(f'{name}.' in text for name in trained_on | validated_on)


def test_a_scikit_image_without_the_photographs_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(demo.CREDITS, 'unicorn.png', 'nobody')
    with pytest.raises(UserError, match=r'lacks unicorn.png'):
        command('demo', '--output', tmp_path / 'demo')
