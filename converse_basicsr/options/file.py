"""Read an option file and its overrides without evaluating anything."""

import difflib
import os
import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from converse_basicsr.errors import UserError
from converse_basicsr.files.reading import Unreadable, read_bytes
from converse_basicsr.messages import printable

KeyPath = tuple[str, ...]


MAX_BYTES = 2**20
"""Option files are a few kilobytes; what is larger is something else (or a device without end)."""

MAX_DEPTH = 32
"""Sections within sections; the YAML parser itself crashes at some thousands."""

MAX_NODES = 100_000
"""Keys and values with every alias written out: aliases of aliases grow exponentially."""

_TAG_PREFIX = 'tag:yaml.org,2002:'
_PLAIN_TAGS = {f'{_TAG_PREFIX}{name}' for name in ('null', 'bool', 'int', 'float', 'str', 'seq', 'map', 'merge')}

_KEY_TAGS = {f'{_TAG_PREFIX}str', f'{_TAG_PREFIX}merge'}


if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    _SafeLoader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class _Loader(_SafeLoader):
    """PyYAML's safe loader for plain values only.

    It also reads ``2e-4`` as a number and ``2026-01-31`` as text (as YAML 1.2 does), refuses a key given twice, and
    turns every failure into a ``YAMLError`` with its place.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
            if isinstance(value, str):
                value.encode('utf-8')  # "\\ud800" is valid YAML, but no text that can be printed or written
                if '\0' in value:
                    raise yaml.constructor.ConstructorError(
                        None, None, 'a text holds the character NUL, which no name of a file can have', node.start_mark
                    )
        except yaml.YAMLError:
            raise
        except Exception:  # PyYAML lets !!int, !!float and others fail with whatever Python raises
            raise yaml.constructor.ConstructorError(
                None, None, f'{str(node.value)[:40]!r} is no {node.tag.rpartition(":")[2]}', node.start_mark
            ) from None
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _KEY_TAGS:
                # BasicSR joins keys to text when it logs the options.
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f'a key must be text (in quotes if need be), got {str(key.value)[:40]!r}',
                    key.start_mark,
                )
            if (key.tag, key.value) in seen and key.tag != f'{_TAG_PREFIX}merge':
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key.value!r} is given more than once in one section', key.start_mark
                )
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN_TAGS]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f'{_TAG_PREFIX}float', re.compile(r'[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$'), list('-+.0123456789')
)


@dataclass
class OptionFile:
    """The options of a run, and where in its file each was given.

    Attributes:
        path: The YAML file.
        options: Its content with the overrides applied.
        lines: The line of each key, by its path, e.g. ``('train', 'total_iter')``; overrides have none.
        overrides: The overrides as given, e.g. ``['train:total_iter=100']``.
        overridden: The paths of the keys they set.
        text: The file as it was read, without the overrides; empty where the options come from elsewhere.
    """

    path: Path
    options: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    overridden: set[KeyPath] = field(default_factory=set)
    text: str = ''

    def where(self, *keys: str) -> str:
        """Name a key for a message: ``file.yml:LINE a:b:c``, or ``--force_yml a:b:c`` if it was overridden.

        A key that is not in the file gets the line of the section it would be in.
        """
        name = printable(':'.join(keys))
        if any(keys[:n] in self.overridden for n in range(1, len(keys) + 1)):
            return f'--force_yml {name}'
        line = self.line(*keys)
        return f'{self.path}{f":{line}" if line else ""} {name}'.rstrip()

    def line(self, *keys: str) -> int:
        """Return the line of a key, or of the section it would be in; 0 if neither is in the file."""
        return next((self.lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), 0)

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
        text = _read(path).decode('utf-8')
    except FileNotFoundError:
        raise UserError(f'option file {path} does not exist; `basicsr options` lists those that come with us') from None
    except Unreadable as error:
        raise UserError(f'option file {path} cannot be read: it {error}') from None
    except (OSError, ValueError) as error:
        raise UserError(f'option file {path} cannot be read: {error}') from None
    try:
        options, lines = _load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f':{mark.line + 1}' if mark else ''
        raise UserError(f'{path}{line} is no valid option file: {_reason(error)}') from None
    if not isinstance(options, dict):
        raise UserError(f'option file {path} must hold sections such as `name:` and `datasets:`, got {text[:40]!r}')
    option_file = OptionFile(path, options, lines, text=text)
    for override in overrides or []:
        _apply_override(option_file, override)
    return option_file


def _read(path: Path) -> bytes:
    if path.exists() and not os.path.exists(os.path.realpath(path)):  # the pipe of a shell's <(...), which has no name
        with open(path, 'rb') as pipe:
            content = pipe.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise Unreadable(f'holds more than {MAX_BYTES} bytes')
        return content
    return read_bytes(path, MAX_BYTES)


def _load(text: str) -> tuple[Any, dict[KeyPath, int]]:
    """Return the value that a YAML text holds, and the lines of its keys.

    Raises:
        yaml.YAMLError: If it is no valid YAML, holds a tag of its own, or is nested too deeply or too large.
    """
    depth = 0
    # The parser's events come one by one, so that what would exhaust the stack or the memory is refused before it can.
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        mark: Any = event.start_mark  # PyYAML's C parser has a class of its own for it
        if depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f'more than {MAX_DEPTH} levels of nesting', mark)
        tag = getattr(event, 'tag', None)
        if tag not in (None, '!') and tag not in _PLAIN_TAGS:
            raise yaml.composer.ComposerError(
                None, None, f'the tag {tag.replace(_TAG_PREFIX, "!!")} is not allowed', mark
            )
    loader = _Loader(text)
    root = loader.get_single_node()
    if root is None:
        return None, {}
    _require_small(root)
    lines = _line_numbers(root)  # before merge keys are resolved, which moves keys about
    return _separate(loader.construct_document(root)), lines


def _separate(value: Any) -> Any:
    """Copy every section and list, so that a change of one does not reach others that are aliases of it."""
    if isinstance(value, dict):
        return {key: _separate(part) for key, part in value.items()}
    return [_separate(part) for part in value] if isinstance(value, list) else value


def _require_small(root: yaml.Node) -> None:
    """Refuse nodes that contain themselves, and more than :data:`MAX_NODES` with every alias written out."""
    measured: dict[int, tuple[int, int]] = {}

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) not in measured:
            measured[id(node)] = MAX_NODES + 1, 0  # the value that a node meets which contains itself
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [measure(part) for child in children for part in (child if isinstance(child, tuple) else (child,))]
            sizes, depths = zip((1, 0), *parts)
            measured[id(node)] = sum(sizes), 1 + max(depths)
        size, depth = measured[id(node)]
        if size > MAX_NODES or depth > MAX_DEPTH + 1:
            raise yaml.composer.ComposerError(
                None, None, 'its aliases (*name) make it too large or contain themselves', node.start_mark
            )
        return size, depth

    measure(root)


def _reason(error: yaml.YAMLError) -> str:
    """Return what a YAML error says, on one line."""
    return ' '.join(str(getattr(error, 'problem', None) or error).split())


def _line_numbers(node: yaml.Node, prefix: KeyPath = ()) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            lines[path] = key.start_mark.line + 1
            lines.update(_line_numbers(value, path))
    return lines


def _apply_override(option_file: OptionFile, override: str) -> None:
    """Set one ``section:key=value``. The section must exist; whether it may hold the key is for the check to say."""
    shown = printable(override)
    name, equals, text = override.partition('=')
    keys = tuple(key.strip() for key in name.split(':'))
    if not equals or not all(keys):
        raise UserError(f'--force_yml {shown}: must look like section:key=value')
    section: Any = option_file.options
    for depth, key in enumerate(keys[:-1], start=1):
        if not isinstance(section, dict) or not isinstance(section.get(key), dict):
            known = [name for name, value in section.items() if isinstance(value, dict)]
            raise UserError(
                f'--force_yml {shown}: {option_file.path} has no section {printable(":".join(keys[:depth]))}'
                + printable(did_you_mean(key, known))
            )
        section = section[key]
    try:
        value, _ = _load(text)
    except yaml.YAMLError as error:
        raise UserError(f'--force_yml {shown}: the value is no valid YAML: {_reason(error)}') from None
    if isinstance(value, str) and value.lower() == 'none':  # BasicSR's spelling
        value = None
    section[keys[-1]] = value
    option_file.overrides.append(override)
    option_file.overridden.add(keys)


def did_you_mean(name: str, known: list[str]) -> str:
    """Return ``'; did you mean X?'`` for the nearest of the known names, else the list of them."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f'; did you mean {near[0]}?' if near else f'; known: {", ".join(sorted(map(str, known)))}'
