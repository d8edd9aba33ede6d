import copy
import os
import pickle
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
import torch
import yaml
from tiny_run import only_log

from converse_basicsr import compat
from converse_basicsr.errors import UserError

compat.apply()

from basicsr.data import build_dataloader, build_dataset  # noqa: E402  (BasicSR cannot be imported before apply)

Run = Callable[..., int]


def run_python(code: str, *arguments: str, cwd: Path, timeout: int = 120) -> subprocess.CompletedProcess[str]:
    script = cwd / 'script.py'
    script.write_text(textwrap.dedent(code))
    return subprocess.run(
        [sys.executable, str(script), *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout
    )


def states(run: str = 'tiny') -> list[int]:
    return sorted(int(path.stem) for path in Path('experiments', run, 'training_states').glob('*.state'))


def test_every_mend_is_needed_by_the_installed_basicsr(tmp_path: Path) -> None:
    """A mend whose defect is gone should be deleted: none may find its work done by BasicSR itself."""
    result = run_python(
        """
        from converse_basicsr import compat
        compat.provide_functional_tensor()
        import sys
        assert hasattr(sys.modules['torchvision.transforms.functional_tensor'], 'rgb_to_grayscale')
        compat.apply()
        import basicsr.data, basicsr.train, basicsr.utils.options, basicsr.utils.dist_util
        from basicsr.data.prefetch_dataloader import PrefetchGenerator
        from basicsr.models.base_model import BaseModel
        from basicsr.models.sr_model import SRModel
        from basicsr.utils.file_client import FileClient
        ours = lambda f: f.__code__.co_filename == compat.__file__
        for function in (
            basicsr.utils.get_root_logger, basicsr.train.get_root_logger, basicsr.train.mkdir_and_rename,
            basicsr.data.worker_init_fn,
            basicsr.train.load_resume_state, basicsr.train.create_train_val_dataloader,
            basicsr.utils.options.init_dist, basicsr.train.build_dataloader, PrefetchGenerator.run,
            BaseModel.model_ema, BaseModel.load_network, BaseModel.validation, BaseModel.model_to_device,
            BaseModel.save_training_state, BaseModel.resume_training, BaseModel.update_learning_rate,
            basicsr.train.init_tb_loggers, basicsr.train.build_model,
        ):
            assert ours(function), function
        assert SRModel.dist_validation.__module__ == 'converse_basicsr.models.sharded_validation'
        assert FileClient._backends['lmdb'].__module__ == 'converse_basicsr.data.lmdb_backend'
        assert basicsr.train.parse_options.func.__module__ == 'converse_basicsr.command_line'
        print('all mended')
        """,
        cwd=tmp_path,
    )
    assert 'all mended' in result.stdout, result.stderr


def test_apply_twice_changes_nothing() -> None:
    import basicsr.train

    before = basicsr.train.create_train_val_dataloader, basicsr.train.parse_options, basicsr.train.get_root_logger
    compat.apply()
    assert before == (
        basicsr.train.create_train_val_dataloader,
        basicsr.train.parse_options,
        basicsr.train.get_root_logger,
    )


def test_what_is_not_broken_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import basicsr.data
    from basicsr.models.base_model import BaseModel

    def worker_init_fn(worker_id: int, **_: Any) -> None:
        random.seed(torch.initial_seed())

    def model_ema(self: Any, decay: float = 0.999) -> None:
        self.net_g.named_buffers()

    monkeypatch.setattr(basicsr.data, 'worker_init_fn', worker_init_fn)
    monkeypatch.setattr(BaseModel, 'model_ema', model_ema)
    compat.mend_worker_seeds()
    compat.mend_ema_buffers()
    assert basicsr.data.worker_init_fn is worker_init_fn
    assert BaseModel.model_ema is model_ema


def test_distutils_is_supplied_where_python_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition('.')[0] == 'distutils']:
        monkeypatch.delitem(sys.modules, name)
    find_spec = compat.importlib.util.find_spec
    monkeypatch.setattr(
        compat.importlib.util, 'find_spec', lambda name: None if name == 'distutils' else find_spec(name)
    )
    compat.provide_distutils()
    from distutils.version import LooseVersion

    assert LooseVersion('0.10.0') >= LooseVersion('0.9.0')
    for name in ('distutils', 'distutils.version'):
        sys.modules.pop(name)


def test_spawned_workers_read_basicsrs_own_lmdb_dataset(pairs: Path, tmp_path: Path) -> None:
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
        cwd=tmp_path,
    )
    assert 'read 20' in result.stdout, result.stderr


def test_two_processes_train_on_cpu_with_workers(run_options: dict[str, Any], tmp_path: Path) -> None:
    run_options['datasets']['train'].update(num_worker_per_gpu=1)
    run_options['num_gpu'] = 0
    (tmp_path / 'run.yml').write_text(yaml.safe_dump(run_options))
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [*launcher, '-m', 'converse_basicsr.cli', 'train', '-opt', 'run.yml', '--launcher', 'pytorch']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    os.chdir(tmp_path)
    assert states() == [2, 4]
    assert 'World size (gpu number): 2' in only_log()


def test_a_forgotten_launcher_is_refused(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert basicsr('train', run_options) == 2
    assert '--launcher pytorch' in capsys.readouterr().err
    assert not Path('experiments').exists()


@pytest.mark.parametrize(('batch', 'total'), [(8, 7), (20, 3), (3, 4)])
def test_a_run_does_the_iterations_it_was_asked_for(
    basicsr: Run, run_options: dict[str, Any], batch: int, total: int
) -> None:
    run_options['datasets']['train']['batch_size_per_gpu'] = batch
    run_options['train']['total_iter'] = total
    run_options['logger']['save_checkpoint_freq'] = 1
    assert basicsr('train', run_options) == 0
    assert states() == list(range(1, total + 1))
    logged = [int(match) for match in re.findall(r'iter: +(\d+), lr', only_log())]
    assert logged == list(range(1, total + 1))


def test_no_full_batch_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['datasets']['train']['batch_size_per_gpu'] = 21
    assert basicsr('train', run_options) == 2
    assert 'fill no batch of 21' in capsys.readouterr().err


def test_auto_resume_goes_on(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 6
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert states() == [2, 4, 6]
    assert 'Resuming training from epoch: 0, iter: 4.' in only_log()
    assert not list(Path('experiments').glob('*archived*'))


def test_auto_resume_skips_a_damaged_state_and_says_so(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    newest = Path('experiments/tiny/training_states/4.state')
    newest.write_bytes(newest.read_bytes()[:200])
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'skipping 4.state' in capsys.readouterr().err
    assert 'iter: 2.' in only_log()


def test_resume_state_works_without_cuda(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    run_options['path']['resume_state'] = str(Path('experiments/tiny/training_states/2.state').resolve())
    assert basicsr('train', run_options) == 0
    assert 'Resuming training from epoch: 0, iter: 2.' in only_log()


def test_resumed_training_ends_where_an_uninterrupted_one_ends_in_its_learning_rate(
    basicsr: Run, run_options: dict[str, Any]
) -> None:
    run_options['train']['scheduler'] = {'type': 'MultiStepLR', 'milestones': [2, 3], 'gamma': 0.5}
    assert basicsr('train', run_options) == 0
    whole = re.findall(r'lr:\(([^,]+)', only_log())
    Path('experiments/tiny/training_states/4.state').unlink()
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert re.findall(r'lr:\(([^,]+)', only_log()) == whole[2:]


@pytest.mark.parametrize(('stopped', 'workers'), [(5, 0), (7, 2)])
def test_a_resumed_run_meets_the_samples_of_an_uninterrupted_one(
    basicsr: Run, run_options: dict[str, Any], stopped: int, workers: int
) -> None:
    run_options['datasets']['train'].update(num_worker_per_gpu=workers, batch_size_per_gpu=4)  # 5 batches an epoch
    run_options['train']['total_iter'] = 9
    run_options['logger']['save_checkpoint_freq'] = stopped
    assert basicsr('train', run_options) == 0
    whole = re.findall(r'l_pix: (\S+)', only_log())
    assert len(set(whole)) == len(whole) == 9
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert re.findall(r'l_pix: (\S+)', only_log()) == whole[stopped:]


def test_flat_checkpoint_with_ema_then_resume(basicsr: Run, run_options: dict[str, Any], tmp_path: Path) -> None:
    from basicsr.archs import build_network

    torch.save(build_network(run_options['network_g']).state_dict(), tmp_path / 'flat.pth')
    run_options['path'].update(pretrain_network_g='flat.pth', param_key_g=None)
    run_options['train']['ema_decay'] = 0.9
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 6
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert states() == [2, 4, 6]


@pytest.mark.parametrize(
    ('content', 'key', 'expected', 'found'),
    [
        ({'w': torch.ones(1)}, 'params_ema', 1.0, None),
        ({'w': torch.ones(1)}, None, 1.0, None),
        ({'params': {'w': torch.ones(1)}}, None, 1.0, 'params'),
        ({'params': {'w': torch.ones(1)}, 'params_ema': {'w': torch.zeros(1)}}, 'params_ema', 0.0, 'params_ema'),
        ({'params': {'w': torch.ones(1)}}, 'params_ema', 1.0, 'params'),
        ({'params_ema': {'w': torch.zeros(1)}}, 'params', 0.0, 'params_ema'),
    ],
)
def test_choose_parameters(content: dict[str, Any], key: str | None, expected: float, found: str | None) -> None:
    parameters, found_key = compat.choose_parameters(content, key, 'x.pth')
    assert parameters['w'].item() == expected
    assert found_key == found


@pytest.mark.parametrize('content', [{}, {'iter': 3}, [torch.ones(1)], {'params': torch.ones(1), 'epoch': 1}])
def test_choose_parameters_refuses_what_holds_none(content: Any) -> None:
    with pytest.raises(UserError, match=r'x\.pth holds no state dict'):
        compat.choose_parameters(content, 'params', 'x.pth')


def test_runs_that_follow_each_other_within_a_second_are_all_archived(tmp_path: Path) -> None:
    from basicsr.utils import mkdir_and_rename

    for number in range(3):
        mkdir_and_rename(str(tmp_path / 'run'))
        (tmp_path / 'run' / str(number)).touch()
    assert sorted(path.name for path in tmp_path.glob('*/*')) == ['0', '1', '2']


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f'touch {tmp_path}/exploded',)

    torch.save({'params': Bomb()}, tmp_path / 'bomb.pth')
    with pytest.raises(UserError, match='cannot be read'):
        compat.read_checkpoint(tmp_path / 'bomb.pth')
    assert not (tmp_path / 'exploded').exists()


def test_weights_of_another_network_are_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({'params': {'w': torch.ones(1)}}, 'other.pth')
    run_options['path']['pretrain_network_g'] = 'other.pth'
    assert basicsr('train', run_options) == 2
    message = capsys.readouterr().err
    assert 'other.pth does not fit ConverseSRResNet' in message
    assert 'Traceback' not in message


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'net.pth'
    compat.write_checkpoint({'a': torch.ones(3)}, path)

    def save_half(content: Any, file: Any) -> None:
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', save_half)
    with pytest.raises(UserError, match='No space left on device'):
        compat.write_checkpoint({'a': torch.zeros(3)}, path)
    assert torch.equal(torch.load(path)['a'], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ['net.pth']


def test_a_full_disk_ends_the_run(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    assert basicsr('train', run_options) == 2
    assert 'cannot write checkpoint' in capsys.readouterr().err


def test_the_last_validation_is_logged_under_the_last_iteration(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['train']['total_iter'] = 3
    assert basicsr('train', run_options) == 0
    assert re.findall(r'@ (\d+) iter', only_log()) == ['3']


def test_each_run_of_a_process_has_its_own_log(basicsr: Run, run_options: dict[str, Any]) -> None:
    from basicsr.utils import get_root_logger

    get_root_logger()  # an early call used to leave the run without log file
    for name in ('first', 'second'):
        run_options['name'] = name
        assert basicsr('train', run_options) == 0
        log = only_log(name)
        assert f'name: {name}\n' in log
        assert 'iter:       4' in log
    assert 'name: second\n' not in only_log('first')


def open_dataset(pairs: Path, **changes: Any) -> Any:
    return build_dataset(
        {
            'name': 'x',
            'type': 'PairedImageDataset',
            'phase': 'train',
            'scale': 4,
            'gt_size': 16,
            'use_hflip': True,
            'use_rot': True,
            'io_backend': {'type': 'lmdb'},
            'dataroot_gt': str(pairs / 'gt.lmdb'),
            'dataroot_lq': str(pairs / 'lq.lmdb'),
            'num_worker_per_gpu': 2,
            'batch_size_per_gpu': 5,
            **changes,
        }
    )


def test_one_lmdb_serves_several_datasets(pairs: Path) -> None:
    lq = str(pairs / 'gt.lmdb')
    first, second = (open_dataset(pairs, dataroot_lq=lq, scale=1) for _ in range(2))
    for sample in (first[0], second[0]):
        assert torch.equal(sample['gt'], sample['lq'])
    again = pickle.loads(pickle.dumps(first))
    assert again[3]['gt'].shape == (3, 16, 16)
    assert len(copy.deepcopy(first)) == 20


def test_forked_workers_read_an_lmdb_their_parent_has_open(pairs: Path) -> None:
    dataset = open_dataset(pairs)
    dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context='fork')
    assert sum(len(batch['gt']) for batch in loader) == 20
    dataset[1]


def test_a_missing_key_is_named(pairs: Path) -> None:
    from converse_basicsr.data.lmdb_backend import SharedLmdbBackend

    backend = SharedLmdbBackend([pairs / 'gt.lmdb'], ['gt'])
    with pytest.raises(KeyError, match=r"gt\.lmdb has no key 'nowhere'"):
        backend.get('nowhere', 'gt')
    with pytest.raises(KeyError, match='client_key must be one of'):
        backend.get('0000', 'lq')
    with pytest.raises(FileNotFoundError, match=r'no data\.mdb'):
        SharedLmdbBackend(str(pairs / 'val_gt')).get('0000')
    with pytest.raises(ValueError, match='client_keys must be as many'):
        SharedLmdbBackend(['a', 'b'], ['gt'])


def test_workers_draw_anew_every_epoch_and_repeat_with_the_seed(pairs: Path) -> None:
    options = {'phase': 'train', 'num_worker_per_gpu': 2, 'batch_size_per_gpu': 5}

    def epochs(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        loader = build_dataloader(open_dataset(pairs), options, seed=seed, sampler=range(20))
        return [torch.cat([batch['gt'] for batch in loader]) for _ in range(2)]

    first, second = epochs(7)
    assert not torch.equal(first, second)
    again, _ = epochs(7)
    assert torch.equal(first, again)
    other, _ = epochs(8)
    assert not torch.equal(first, other)


def test_training_order_follows_manual_seed(basicsr: Run, run_options: dict[str, Any]) -> None:
    losses = []
    for seed in (1, 1, 2):
        run_options['manual_seed'] = seed
        assert basicsr('train', run_options) == 0
        losses.append(re.findall(r'l_pix: (\S+)', only_log()))
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize('prefetch', ['cpu', None])
def test_a_corrupt_image_ends_the_run(
    run_options: dict[str, Any], pairs: Path, tmp_path: Path, prefetch: str | None
) -> None:
    for name in ('gt.lmdb', 'lq.lmdb'):
        source = tmp_path / name
        source.mkdir()
        for file in ('data.mdb', 'meta_info.txt'):
            (source / file).write_bytes((pairs / name / file).read_bytes())
    environment = lmdb.open(str(tmp_path / 'gt.lmdb'), map_size=2**24)
    with environment.begin(write=True) as transaction:
        for number in range(20):
            transaction.put(f'{number:04d}'.encode(), b'no image')
    environment.close()
    train = run_options['datasets']['train']
    train.update(dataroot_gt=str(tmp_path / 'gt.lmdb'), dataroot_lq=str(tmp_path / 'lq.lmdb'), prefetch_mode=prefetch)
    (tmp_path / 'run.yml').write_text(yaml.safe_dump(run_options))
    command = [sys.executable, '-m', 'converse_basicsr.cli', 'train', '-opt', 'run.yml']
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0


def test_ema_keeps_batch_norm_statistics() -> None:
    from basicsr.models.base_model import BaseModel

    model = BaseModel({'num_gpu': 0, 'is_train': True, 'dist': False})
    model.net_g = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    model.net_g_ema = copy.deepcopy(model.net_g)
    model.net_g(torch.randn(4, 1, 8, 8))
    model.model_ema(0.5)
    for name, buffer in model.net_g.named_buffers():
        assert torch.equal(buffer, dict(model.net_g_ema.named_buffers())[name])


def test_seed_worker_uses_torchs_seed() -> None:
    def draw() -> tuple[float, float]:
        compat.seed_worker(0, num_workers=2, rank=0, seed=0)
        return random.random(), float(np.random.rand())  # noqa: NPY002

    torch.manual_seed(1)
    first = draw()
    assert draw() == first
    torch.manual_seed(2)
    assert draw() != first
