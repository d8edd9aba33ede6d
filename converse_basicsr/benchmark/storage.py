"""Copy the training images of an option file to the other form of storage: from LMDB to files, or back."""

from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, meta_info
from converse_basicsr.files.images import find_images, safe_key
from converse_basicsr.files.inside import UnsafeName, inside
from converse_basicsr.files.lmdb_folder import LmdbWriter

OTHER = {'lmdb': 'disk', 'disk': 'lmdb'}

Section = dict[str, Any]


def copy_to_other(section: Section, folder: Path, limit: int) -> Section:
    """Copy images from LMDB to files or from files to LMDB, their encoded bytes as they are.

    Args:
        section: A dataset section whose ``io_backend`` is ``lmdb`` or ``disk``; each of its ``dataroot_*`` is copied.
        folder: Empty folder that receives the copies.
        limit: Number of images to copy, the first ones.

    Returns:
        The section that names the copies.

    Raises:
        UserError: If a file is no image, the list of an LMDB cannot be read, or the images of two roots do not match.
    """
    is_lmdb = section['io_backend']['type'] == 'lmdb'
    roots = {key: Path(value).expanduser() for key, value in section.items() if key.startswith('dataroot')}
    if not roots:
        raise UserError('datasets:train has no dataroot to copy: leave the other storage out with --images 0')
    keys = (_keys_of_lmdb if is_lmdb else _keys_of_folder)(next(iter(roots.values())))[:limit]
    copied: Section = {**section, 'io_backend': {'type': OTHER[section['io_backend']['type']]}}
    # A list of chosen images and a pattern of names belong to the original.
    copied.pop('meta_info_file', None)
    template = copied.pop('filename_tmpl', '{}')
    for name, root in roots.items():
        if is_lmdb:
            copied[name] = str(folder / name)
            _lmdb_to_files(root, keys, folder / name)
        else:
            copied[name] = str(folder / f'{name}.lmdb')
            _files_to_lmdb(root, keys, '{}' if name == next(iter(roots)) else template, folder / f'{name}.lmdb')
    return copied


def _keys_of_lmdb(root: Path) -> list[str]:
    try:
        return sorted(entry.key for entry in meta_info.entries(root))
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from None


def _keys_of_folder(root: Path) -> list[str]:
    return sorted({path.stem for path in find_images(root)[0]})


def _lmdb_to_files(root: Path, keys: list[str], folder: Path) -> None:
    from converse_basicsr.data.lmdb_backend import SharedLmdbBackend

    folder.mkdir()
    backend = SharedLmdbBackend(str(root))
    for key in keys:
        try:
            content = backend.get(key)
        except KeyError as error:
            raise UserError(error.args[0]) from None
        try:
            path = inside(folder, f'{key}.png')
        except UnsafeName as error:
            raise UserError(f'{root}: the name of an image {error}') from None
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, content, durable=False)


def _files_to_lmdb(root: Path, keys: list[str], template: str, path: Path) -> None:
    files = {file.stem: file for file in find_images(root)[0]}
    writer = LmdbWriter(path)
    try:
        for key in keys:
            file = files.get(template.format(key))
            if file is None:
                raise UserError(f'{root} has no image {template.format(key)}, the counterpart of {key}')
            try:
                with Image.open(file) as image:
                    shape = (image.height, image.width, len(image.getbands()))
            except UnidentifiedImageError:
                raise UserError(f'{file} is no image that can be read') from None
            writer.put(safe_key(key), file.read_bytes(), shape)
        writer.finish()
    finally:
        writer.close()
