"""Read an option file and its overrides without evaluating anything."""

import difflib
import os
import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from converse_basicsr.errors import UserError

KeyPath = tuple[str, ...]


class _Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
    """PyYAML's safe loader, which also reads ``2e-4`` as a number (as YAML 1.2 does) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen and key.tag != 'tag:yaml.org,2002:merge':
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key.value!r} is given more than once in one section', key.start_mark
                )
            seen.add((key.tag, str(key.value)))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float', re.compile(r'[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$'), list('-+.0123456789')
)


@dataclass
class OptionFile:
    """The options of a run, and where in its file each was given.

    Attributes:
        path: The YAML file.
        options: Its content with the overrides applied.
        lines: The line of each key, by its path, e.g. ``('train', 'total_iter')``; overrides have none.
        overrides: The overrides as given, e.g. ``['train:total_iter=100']``.
    """

    path: Path
    options: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    def where(self, *keys: str) -> str:
        """Name a key for a message, ``file.yml:LINE a:b:c``, with the line of its nearest parent if it has none."""
        known = next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), None)
        line = f':{self.lines[known]}' if known else ''
        return f'{self.path}{line} {":".join(keys)}'

    def dump(self) -> str:
        """Return the options as YAML that BasicSR reads."""
        return yaml.safe_dump(self.options, sort_keys=False, allow_unicode=True, default_flow_style=None)


def read_option_file(path: str | os.PathLike[str], overrides: list[str] | None = None) -> OptionFile:
    """Read a YAML option file and apply overrides.

    Args:
        path: The file. It cannot run code: Python tags are refused.
        overrides: Changes in the form ``section:key=value``; the value is read as YAML.

    Raises:
        UserError: If the file is missing, no valid YAML or no mapping, or if an override does not fit it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise UserError(f'option file {path} does not exist; `basicsr options` lists those that come with us') from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'option file {path} cannot be read: {error}') from None
    try:
        options = yaml.load(text, Loader=_Loader)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f':{mark.line + 1}' if mark else ''
        raise UserError(f'{path}{line} is no valid option file: {getattr(error, "problem", None) or error}') from None
    if not isinstance(options, dict):
        raise UserError(f'option file {path} must hold sections such as `name:` and `datasets:`, got {text[:40]!r}')
    option_file = OptionFile(path, options, _line_numbers(root))
    for override in overrides or []:
        _apply_override(option_file, override)
    return option_file


def _line_numbers(node: yaml.Node, prefix: KeyPath = ()) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, key.value)
            lines[path] = key.start_mark.line + 1
            lines.update(_line_numbers(value, path))
    return lines


def _apply_override(option_file: OptionFile, override: str) -> None:
    """Set one ``section:key=value``. Sections must exist; the last key may be new, as in BasicSR."""
    name, equals, text = override.partition('=')
    keys = tuple(key.strip() for key in name.split(':'))
    if not equals or not all(keys):
        raise UserError(f'--force_yml {override}: must look like section:key=value')
    section: Any = option_file.options
    for depth, key in enumerate(keys[:-1], start=1):
        if not isinstance(section, dict) or not isinstance(section.get(key), dict):
            known = [name for name, value in section.items() if isinstance(value, dict)]
            raise UserError(
                f'--force_yml {override}: {option_file.path} has no section {":".join(keys[:depth])}'
                + did_you_mean(key, known)
            )
        section = section[key]
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(f'--force_yml {override}: the value is no valid YAML: {error.problem}') from None
    if isinstance(value, str) and value.lower() == 'none':  # BasicSR's spelling
        value = None
    section[keys[-1]] = value
    option_file.overrides.append(override)


def did_you_mean(name: str, known: list[str]) -> str:
    """Return ``'; did you mean X?'`` for the nearest of the known names, else the list of them."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f'; did you mean {near[0]}?' if near else f'; known: {", ".join(sorted(map(str, known)))}'
