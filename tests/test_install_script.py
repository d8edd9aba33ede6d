"""``scripts/install.sh``, with interpreters and a uv that write down what is asked of them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASH = shutil.which('bash')

pytestmark = pytest.mark.skipif(os.name == 'nt' or BASH is None, reason='needs a POSIX shell')

# Suitable unless its name is among $OLD; `-m venv FOLDER` puts a copy of it there.
PYTHON = """#!/bin/bash
name=$(basename "$0")
case "$*" in
    *'sys.exit(not (3,'*) case " $OLD " in *" $name "*) exit 1 ;; esac ;;
    *find_spec*) exit "${BROKEN:-0}" ;;
    *sys.version_info*) echo 3.12.1 ;;
    '-c ' | -V) ;;
    *) echo "$name $*" >> "$ASKED" ;;
esac
if [ "$1 $2" = '-m venv' ]; then
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
fi
"""

UV = """#!/bin/bash
echo "uv $*" >> "$ASKED"
case "$*" in
    'venv '*) mkdir -p "${@: -1}/bin" && cp "$STUBS/python3.12" "${@: -1}/bin/python" ;;
    *--help) echo '  --torch-backend <TORCH_BACKEND>' ;;
    *--torch-backend=auto*) exit "${UNREACHED:-0}" ;;
esac
"""


class Machine:
    """A machine with stand-ins for Python 3.11 and 3.12 and, if asked for, uv and a GPU."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.stubs, self.venv = folder / 'asked', folder / 'stubs', folder / 'venv'
        self.stubs.mkdir()
        for name in ('python3', 'python3.11', 'python3.12'):
            self.add(name, PYTHON)
        self.variables = {'OLD': 'python3 python3.10 python3.13 python3.14 python', 'UV': '0'}
        self.folder = folder

    def add(self, name: str, text: str) -> None:
        """Put a program on the path."""
        (self.stubs / name).write_text(text)
        (self.stubs / name).chmod(0o755)

    def install(self, *extras: str, **variables: str) -> tuple[int, str, list[str]]:
        """Run the script; return its status, what it said, and what it asked of the programs."""
        self.asked.write_text('')
        ran = subprocess.run(
            [str(BASH), str(ROOT / 'scripts/install.sh'), str(self.venv), *extras],
            env={
                'PATH': f'{self.stubs}{os.pathsep}/usr/bin{os.pathsep}/bin',
                'HOME': str(self.folder),
                'ASKED': str(self.asked),
                'STUBS': str(self.stubs),
                **self.variables,
                **variables,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        return ran.returncode, ran.stderr, self.asked.read_text().replace(str(self.venv), 'VENV').splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PIP = 'python -m pip --disable-pip-version-check install --quiet'
SETUP = 'python -m converse_basicsr.cli setup'


def test_the_first_suitable_python_installs_and_a_repeated_run_does_nothing(machine: Machine) -> None:
    status, said, asked = machine.install('dev')
    assert status == 0, said
    wanted = ['python3.12 -m venv VENV', f'{PIP} torch torchvision', f'{PIP} --editable .[dev]', SETUP]
    assert asked == wanted
    assert 'by pip' in said
    assert machine.install('dev')[::2] == (0, [])
    # Another wish, or an environment that has lost something, is installed.
    assert machine.install('dev,export')[2] == [wanted[1], f'{PIP} --editable .[dev,export]', SETUP]
    assert machine.install('dev,export', BROKEN='1')[2][-1] == SETUP


def test_an_installation_that_failed_is_not_taken_for_whole(machine: Machine) -> None:
    failing = PYTHON.replace('if [', 'case "$*" in *cli*) exit 3 ;; esac\nif [', 1)
    machine.add('python3.12', failing)
    assert machine.install()[0] == 3
    assert machine.install()[0] == 3


@pytest.mark.parametrize(
    ('variables', 'torch'),
    [
        ({'TORCH': '2.4'}, 'torch==2.4.* torchvision'),
        ({'TORCH_INDEX': 'https://index/cpu'}, '--index-url https://index/cpu torch torchvision'),
    ],
)
def test_pytorch_is_chosen(machine: Machine, variables: dict[str, str], torch: str) -> None:
    assert machine.install(**variables)[2][1] == f'{PIP} {torch}'


def test_who_has_no_gpu_hears_of_smaller_builds(machine: Machine) -> None:
    machine.add('uname', '#!/bin/bash\necho Linux\n')
    machine.add('nvidia-smi', '#!/bin/bash\nexit 9\n')
    assert 'TORCH_INDEX=URL' in machine.install()[1]
    shutil.rmtree(machine.venv)
    machine.add('nvidia-smi', '#!/bin/bash\nexit 0\n')
    assert 'TORCH_INDEX=URL' not in machine.install()[1]


@pytest.mark.parametrize('unreached', ['0', '2'])
def test_uv_takes_the_build_for_this_machine_or_the_usual_one(machine: Machine, unreached: str) -> None:
    machine.add('uv', UV)
    status, said, asked = machine.install(UV='1', UNREACHED=unreached)
    assert status == 0, said
    pip = 'uv pip install --quiet --python VENV'
    usual = [f'{pip} torch torchvision'] if unreached != '0' else []
    assert ('trying the usual one' in said) == bool(usual)
    assert [line for line in asked if 'help' not in line and 'version' not in line] == [
        'uv venv --quiet --seed --python python3.12 VENV',
        f'{pip} --torch-backend=auto torch torchvision',
        *usual,
        f'{pip} --editable .',
        SETUP,
    ]


@pytest.mark.parametrize(
    ('variables', 'said'),
    [
        ({'PYTHON': 'python3'}, 'PYTHON=python3 is'),
        ({'PYTHON': 'no_such_python'}, 'PYTHON=no_such_python is'),
        (
            {'OLD': 'python python3 python3.10 python3.11 python3.12 python3.13 python3.14'},
            'found no Python 3.10 to 3.14',
        ),
    ],
)
def test_unsuitable_pythons_are_refused(machine: Machine, variables: dict[str, str], said: str) -> None:
    status, message, asked = machine.install(**variables)
    assert (status, asked) == (2, [])
    assert said in message
    assert not machine.venv.exists()


def test_an_environment_of_another_python_is_left_alone(machine: Machine) -> None:
    machine.install()
    machine.add('python3.11', PYTHON.replace('3.12.1', '3.11.7'))
    status, said, asked = machine.install(PYTHON='python3.11')
    assert (status, asked) == (2, [])
    assert 'is of Python 3.12.1, and PYTHON=python3.11 is 3.11.7' in said


@pytest.mark.parametrize(
    ('script', 'argument', 'status', 'said'),
    [
        ('install', '--help', 0, 'bash scripts/install.sh [FOLDER]'),
        ('install', '--hepl', 2, '--hepl is an option, and there is only --help'),
        ('quickstart', '--help', 0, 'bash scripts/quickstart.sh'),
        ('quickstart', '--python', 2, 'bash scripts/quickstart.sh'),
    ],
)
def test_an_option_is_no_folder_and_starts_nothing(
    tmp_path: Path, script: str, argument: str, status: int, said: str
) -> None:
    copy = tmp_path / 'scripts' / f'{script}.sh'
    copy.parent.mkdir()
    shutil.copy(ROOT / f'scripts/{script}.sh', copy)
    ran = subprocess.run(
        [str(BASH), str(copy), argument], env={'PATH': '/usr/bin:/bin'}, capture_output=True, text=True
    )
    assert ran.returncode == status
    assert said in ran.stdout + ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['scripts']
