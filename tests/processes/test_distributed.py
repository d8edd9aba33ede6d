"""Joining the processes of a run: what launchers and users put into the environment, ports and backends."""

import datetime
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr.errors import UserError
from converse_basicsr.processes import distributed, launch


class TestGpus:
    def test_each_process_takes_the_gpu_of_its_number_on_the_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('RANK', '5')
        monkeypatch.setenv('LOCAL_RANK', '1')
        assert distributed.local_gpu(2) == 1

    @pytest.mark.parametrize('local', ['2', None])
    def test_a_process_without_a_gpu_is_refused(self, monkeypatch: pytest.MonkeyPatch, local: str | None) -> None:
        monkeypatch.setenv('RANK', '2')
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        if local:
            monkeypatch.setenv('LOCAL_RANK', local)
        with pytest.raises(UserError, match=r'rank 2 is process 3 of this machine, which shows 2 GPU\(s\)'):
            distributed.local_gpu(2)


class TestSlurm:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(os, 'environ', os.environ.copy())
        for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
            os.environ.pop(name, None)
        os.environ.update(SLURM_PROCID='11', SLURM_NTASKS='16', SLURM_LOCALID='3', SLURM_NODELIST='node[07-08]')

    def test_its_environment_is_taken_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def scontrol(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            asked.append(command)
            return subprocess.CompletedProcess(command, 0, 'node07\nnode08\n')

        monkeypatch.setattr(distributed.subprocess, 'run', scontrol)
        distributed.take_over_slurm_environment(29511)
        names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
        assert [os.environ[name] for name in names] == ['11', '16', '3', 'node07', '29511']
        assert asked == [['scontrol', 'show', 'hostnames', 'node[07-08]']]

    def test_what_is_set_already_is_kept(self) -> None:
        os.environ.update(MASTER_ADDR='head', MASTER_PORT='20007')
        distributed.take_over_slurm_environment(None)
        assert (os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']) == ('head', '20007')

    def test_a_list_of_machines_that_cannot_be_read_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('PATH', '')
        with pytest.raises(UserError, match='set MASTER_ADDR to the machine of rank 0'):
            distributed.take_over_slurm_environment(None)


class TestEnvironment:
    """What launchers and users put into the environment."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        port = str(launch.free_port())
        for name, value in {'RANK': '0', 'WORLD_SIZE': '1', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.multiprocessing, 'set_start_method', lambda method: None)

    @pytest.mark.promise('`WORLD_SIZE`, `RANK`, `LOCAL_RANK` or `MASTER_PORT` that is no number')
    @pytest.mark.parametrize('name', ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'])
    @pytest.mark.parametrize('value', ['two', '', '-1', '1.5', '\u0662', '1' * 30])
    def test_what_is_no_number_is_named(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match=f'the environment variable {name} must be a whole number, got'):
            distributed.start('pytorch', on_gpus=False)

    @pytest.mark.promise('`WORLD_SIZE`, `RANK`, `LOCAL_RANK` or `MASTER_PORT` that is no number')
    def test_without_a_launcher_too(
        self,
        basicsr: Callable[..., int],
        run_options: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv('WORLD_SIZE', 'two')
        assert basicsr('train', run_options) == 2
        assert "WORLD_SIZE must be a whole number, got 'two'" in capsys.readouterr().err

    @pytest.mark.promise('a port that another program uses')
    def test_a_port_in_use_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as other:
            other.bind(('', 0))
            other.listen()
            port = other.getsockname()[1]
            monkeypatch.setenv('MASTER_PORT', str(port))
            with pytest.raises(UserError, match=f'port {port} is in use, perhaps by another run: set MASTER_PORT'):
                distributed.start('pytorch', on_gpus=False)

    @pytest.mark.parametrize(
        ('name', 'value'),
        [('MASTER_PORT', '99999999'), ('RANK', '3'), ('WORLD_SIZE', '0'), ('MASTER_ADDR', 'no.such.host.')],
    )
    def test_processes_that_cannot_meet_are_named(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        if name in ('RANK', 'MASTER_ADDR'):  # a process that waits for the others
            monkeypatch.setattr(
                torch.distributed,
                'init_process_group',
                functools.partial(torch.distributed.init_process_group, timeout=datetime.timedelta(seconds=1)),
            )
        with pytest.raises(UserError, match='cannot join the other processes at'):
            distributed.start('pytorch', on_gpus=False)

    def test_nothing_is_left_when_the_processes_part(self) -> None:
        """PyTorch puts a hook for uncaught exceptions before the last one at each start."""
        before = sys.excepthook
        distributed.start('pytorch', on_gpus=False)
        distributed.leave()
        assert sys.excepthook is before

    def test_the_error_of_rank_0_is_the_error_of_all(self) -> None:
        def fail() -> None:
            raise UserError('one', 'two')

        distributed.start('pytorch', on_gpus=False)
        try:
            with pytest.raises(UserError) as caught:
                distributed.from_rank_0(fail)
            assert caught.value.lines == ('one', 'two')
            assert distributed.from_rank_0(lambda: 3) == 3
        finally:
            distributed.leave()


class TestBackend:
    @pytest.mark.parametrize(
        ('asked', 'on_gpus', 'chosen'), [(None, False, 'gloo'), ('nccl', False, 'gloo'), ('gloo', True, 'gloo')]
    )
    def test_what_the_option_file_asks_for_is_taken_where_it_can_be(
        self, asked: str | None, on_gpus: bool, chosen: str
    ) -> None:
        assert distributed.choose_backend(asked, on_gpus=on_gpus) == chosen

    def test_a_backend_that_this_torch_lacks_is_refused(self) -> None:
        with pytest.raises(UserError, match=r'dist_params:backend must be one of .*, got smoke'):
            distributed.choose_backend('smoke', on_gpus=False)
        if torch.distributed.is_mpi_available():
            pytest.skip('this PyTorch has MPI')
        with pytest.raises(UserError, match='built without mpi'):
            distributed.choose_backend('mpi', on_gpus=False)

    def test_a_replaced_backend_is_told(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        values = {'RANK': '0', 'WORLD_SIZE': '1', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(launch.free_port())}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.multiprocessing, 'set_start_method', lambda method: None)
        distributed.start('pytorch', on_gpus=False, backend='nccl')
        distributed.leave()
        assert 'note: dist_params:backend nccl needs GPUs; gloo takes its place' in capsys.readouterr().err
