"""Put generated text between the markers of README.md: the tables of `basicsr reproduce`, the quickstart's last lines.

python scripts/update_readme.py results=results/dncnn.md results=results/srresnet.md quickstart=quickstart.log
"""

import argparse
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / 'README.md'


def replace_section(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: If the markers are not there exactly once.
    """
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- /{name} -->)', re.DOTALL)
    text, count = pattern.subn(lambda match: f'{match[1]}\n{content}\n\n{match[2]}', text)
    if count != 1:
        raise ValueError(f'README.md must hold the markers of {name!r} once, got {count}')
    return text


def main() -> int:
    """Rewrite README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'parts', nargs='+', metavar='SECTION=FILE', help='Markdown goes in as it is, .log as a code block'
    )
    contents: dict[str, list[str]] = {}
    for part in parser.parse_args().parts:
        name, _, file = part.partition('=')
        text = Path(file).read_text(encoding='utf-8').strip('\n')
        contents.setdefault(name, []).append(f'```\n{text}\n```' if file.endswith('.log') else text)
    readme = README.read_text(encoding='utf-8')
    for name, texts in contents.items():
        readme = replace_section(readme, name, '\n\n'.join(texts))
    README.write_text(readme, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
