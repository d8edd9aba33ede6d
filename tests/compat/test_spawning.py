"""Datasets that travel to spawned loader workers."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converse_basicsr import compat


@pytest.mark.slow
def test_spawned_workers_read_basicsrs_own_lmdb_dataset(pairs: Path, run_python: Callable[..., Any]) -> None:
    """The worker unpickles the dataset before any line of the script runs there (its imports are inside main)."""
    result = run_python(
        """
        import sys

        def main(root):
            import converse_basicsr
            converse_basicsr.register()
            from basicsr.data import build_dataset
            import torch
            dataset = build_dataset({
                'name': 'x', 'type': 'PairedImageDataset', 'phase': 'train', 'scale': 4, 'gt_size': 16,
                'use_hflip': True, 'use_rot': True, 'io_backend': {'type': 'lmdb'},
                'dataroot_gt': root + '/gt.lmdb', 'dataroot_lq': root + '/lq.lmdb'})
            dataset[0]  # opens the LMDBs: an opened dataset must travel too
            loader = torch.utils.data.DataLoader(
                dataset, batch_size=5, num_workers=2, multiprocessing_context='spawn')
            print('read', sum(len(batch['gt']) for batch in loader))

        if __name__ == '__main__':
            main(sys.argv[1])
        """,
        str(pairs),
    )
    assert 'read 20' in result.stdout, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize('patched', [True, False])
def test_a_process_without_plugins_unpickles_a_dataset(
    open_dataset: Callable[..., Any], tmp_path: Path, run_python: Callable[..., Any], patched: bool
) -> None:
    dataset = open_dataset()
    if patched:
        content = pickle.dumps(dataset)
    else:
        with compat.disabled('spawned_datasets'):
            content = pickle.dumps(dataset)
    (tmp_path / 'dataset.pkl').write_bytes(content)
    result = run_python(
        """
        import pickle
        print('length', len(pickle.load(open('dataset.pkl', 'rb'))))
        """
    )
    assert ('length 20' in result.stdout) is patched
    assert ('functional_tensor' in result.stderr) is not patched
