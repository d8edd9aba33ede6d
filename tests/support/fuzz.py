"""Search for inputs that a fuzz target fails on, guided by the code that they reach. Needs ``pip install atheris``.

    python tests/support/fuzz.py records --minutes 10

Inputs that reach new code are kept below ``--work``, and each fault with its traceback in ``--work/faults``; the search
goes on after it, also where the interpreter itself has crashed. At the end it prints what it has tried and found.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

CORPUS = Path(__file__).parents[1] / 'fuzz/corpus'
LARGEST = 32768
"""Bytes of an input."""


def search(name: str, minutes: float, work: Path) -> int:
    """Run the search in processes of their own until the time is over; return the number of kinds of faults."""
    end, executions, crashes = time.monotonic() + 60 * minutes, 0, 0
    found, faults = work / name, work / 'faults' / name
    found.mkdir(parents=True, exist_ok=True)
    faults.mkdir(parents=True, exist_ok=True)
    while (left := int(end - time.monotonic())) > 5:
        options = [f'-max_total_time={left}', f'-max_len={LARGEST}', '-timeout=20', '-rss_limit_mb=8000']
        options += ['-print_final_stats=1', f'-artifact_prefix={faults}/']
        command = [sys.executable, __file__, name, '--inside', str(faults), *options, str(found), str(CORPUS / name)]
        with tempfile.TemporaryFile('w+') as output:
            status = subprocess.run(command, stdout=output, stderr=output).returncode
            output.seek(0)
            text = output.read()
        numbers = re.findall(r'number_of_executed_units: *(\d+)', text) or re.findall(r'#(\d+)', text)[-1:]
        executions += int(numbers[-1]) if numbers else 0
        if status:
            crashes += 1
            (faults / f'crash_{crashes}.txt').write_text(text[-20000:])
            if not numbers:
                raise RuntimeError(f'the search did not start:\n{text[-3000:]}')
    kinds = len(list(faults.glob('*.txt')))
    print(f'{name}: {executions} executions, {kinds} faults of which {crashes} ended the process; see {faults}')
    return kinds


def be_searched(name: str, faults: Path, options: list[str]) -> None:
    """Let libFuzzer call the target until it ends this process."""
    import atheris

    with atheris.instrument_imports(include=['converse_basicsr', 'PIL', 'yaml']):
        import converse_basicsr

        converse_basicsr.register()
        import fuzz_targets

    target = fuzz_targets.TARGETS[name]
    fuzz_targets.limit_resources()

    def try_input(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [f'{frame.filename}:{frame.lineno}' for frame in frames if '/converse_basicsr/' in frame.filename]
            kind = hashlib.sha256(f'{type(error).__name__} {own[-1:] or frames[-1]}'.encode()).hexdigest()[:12]
            if not (faults / f'{kind}.txt').exists():
                (faults / kind).write_bytes(data)
                (faults / f'{kind}.txt').write_text(traceback.format_exc())

    atheris.Setup([sys.argv[0], *options], try_input)
    atheris.Fuzz()


def main() -> int:
    """Search; return 1 if a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('target')
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--work', type=Path, default=Path('.fuzz'), metavar='FOLDER', help='(default: .fuzz)')
    args = parser.parse_args()
    return 1 if search(args.target, args.minutes, args.work.resolve()) else 0


if __name__ == '__main__':
    if sys.argv[2:3] == ['--inside']:
        be_searched(sys.argv[1], Path(sys.argv[3]), sys.argv[4:])
    sys.exit(main())
