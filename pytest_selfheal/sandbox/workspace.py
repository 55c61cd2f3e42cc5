"""What a sandbox must hold to run a project's tests as the user's own run did.

Gathered once, on the host, before the first sandbox is started; plain values throughout.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_selfheal.errors import SandboxFailed

LEFT_OUT_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".bzr", "__pycache__", ".pytest_cache", ".mypy_cache",
        ".ruff_cache", ".hypothesis", ".tox", ".nox", ".venv", "venv", "node_modules",
        ".eggs", ".idea", ".vscode", ".aws", ".ssh", ".gnupg",
    }
)  # fmt: skip
"""Folders that no test needs: history, environments, caches, keys."""

SECRET_FILES = frozenset({".env", ".netrc", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd"})
HARMLESS_ENV_FILES = (".example", ".sample", ".template", ".dist")
MAX_FILE_BYTES = 32 * 2**20

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/lib32", "/bin")
"""Not /sbin: the daemon puts a container's init there."""
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/alternatives",
    "/nix/store",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A project's surroundings, as a sandbox mirrors them."""

    root: Path
    """pytest's rootdir, resolved."""
    cwd: Path
    """The folder that pytest was invoked in."""
    pytest_args: tuple[str, ...] = ()
    """The options of the user's run that hold in the sandbox too."""
    plugin_args: tuple[str, ...] = ()
    """Those of them that load or block plugins."""
    sys_path: tuple[str, ...] = ()
    environment: Mapping[str, str]
    """Every variable of the sandbox."""
    switched_off: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What keeps a plugin of the run out of the way, by the module that it lives in."""
    beside: tuple[str, ...] = ()
    """What is importable without lying on the path: packages that are installed in place."""
    has_cache: bool = True
    """pytest's own cache plugin is in use, so that its folder must be moved."""
    selected: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of files that were not selected as a whole, the node ids that were."""
    warm: tuple[str, ...] = ()
    """Modules outside the project, imported while a sandbox is parked."""

    @property
    def read_paths(self) -> tuple[str, ...]:
        """Folders and files outside the project that Python needs, none holding another.

        Of a folder that the project itself, or the user's home, lies in, only the
        importable things in it are among them: never its history or its secrets.
        """
        wanted = [*SYSTEM_FOLDERS, *SYSTEM_FILES, sys.base_prefix, sys.prefix, *self.sys_path]
        wanted += self.beside
        return tuple(_outermost(self._outside(wanted), self.root))

    def shared_folders(self) -> dict[str, list[Path]]:
        """Folders on the import path of which only some things may be seen, and these."""
        return {
            text: [each for each in _importable(Path(text)) if not self._is_ours(each)]
            for text in self.sys_path
            if Path(text).is_absolute() and self._holds_what_is_private(Path(text))
        }

    def _outside(self, paths: Iterable[str]) -> Iterator[Path]:
        environments = {Path(sys.prefix), Path(sys.base_prefix)}
        for text in paths:
            for path in {Path(text), Path(text).resolve()}:
                if not path.is_absolute() or not path.exists():
                    continue
                if self._holds_what_is_private(path):
                    yield from (each for each in _importable(path) if not self._is_ours(each))
                elif path in environments or not path.is_relative_to(self.root):
                    yield path

    def _holds_what_is_private(self, path: Path) -> bool:
        private = (self.root, Path.home(), Path("/root"), Path("/home"), Path("/etc"))
        return any(each.is_relative_to(path) for each in private) and path != Path(sys.prefix)

    def _is_ours(self, path: Path) -> bool:
        return self.root.is_relative_to(path) or path.is_relative_to(self.root)


def _importable(folder: Path) -> Iterator[Path]:
    """The packages and modules directly in a folder."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix in (".py", ".so", ".pyd") or (entry / "__init__.py").is_file():
            yield entry


def _outermost(paths: Iterable[Path], root: Path) -> Iterator[str]:
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda each: len(each.parts)):
        # What lies in the project's folder is hidden by its copy, so it is named itself.
        over = [each for each in kept if path.is_relative_to(each)]
        if not over or (path.is_relative_to(root) and not over[-1].is_relative_to(root)):
            kept.append(path)
            yield str(path)


def base_environment(
    source: Mapping[str, str], names: Sequence[str], temporary: str
) -> dict[str, str]:
    """The variables of a sandbox: what Python needs to start, and what the user named.

    Args:
        source: The user's own environment.
        names: What `selfheal_env` lists.
        temporary: The sandbox's folder for temporary files.
    """
    environment = {
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
        ),
        "HOME": temporary,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MiB of address space a thread
        "PYTEST_SELFHEAL_SANDBOX": "1",
    }
    wanted = ["PYTHONPATH", "TZ", *names]
    environment.update({name: source[name] for name in wanted if name in source})
    return environment


def installed_in_place(modules: Mapping[str, ModuleType]) -> tuple[str, ...]:
    """Where packages lie that finders of setuptools' editable installs lead to."""
    found: dict[str, None] = {}
    for name, module in list(modules.items()):
        if name.startswith("__editable__"):
            mapping = getattr(module, "MAPPING", None)
            spaces = getattr(module, "NAMESPACES", None)
            places = [*mapping.values()] if isinstance(mapping, dict) else []
            for each in spaces.values() if isinstance(spaces, dict) else ():
                places += each if isinstance(each, list) else [each]
            for place in places:
                if isinstance(place, str):  # a package's folder, or a module without its suffix
                    found.update({place: None, f"{place}.py": None})
    return tuple(found)


def third_party_modules(modules: Mapping[str, ModuleType], root: Path) -> tuple[str, ...]:
    """Names of imported modules that come from installed packages, in import order."""
    ours = {"pytest_selfheal", "_pytest", "pytest", "pluggy", "openai", "docker", "sandlock"}
    ours |= {"libcst", "filelock", "pyrate_limiter"}
    names = []
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if not isinstance(file, str) or top in ours or name in ("__main__", "conftest"):
            continue
        if "site-packages" in file or "dist-packages" in file:
            names.append(name)
    return tuple(names)


def is_secret(name: str) -> bool:
    """Whether a file's name says that it holds credentials."""
    if name.startswith(".env"):
        return not name.endswith(HARMLESS_ENV_FILES) and (name == ".env" or name[4] == ".")
    return name in SECRET_FILES or name.startswith(("id_rsa", "id_ed25519"))


def left_out(root: Path) -> Iterator[Path]:
    """Files and folders below the root that no sandbox shows, by absolute path."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in list(folders):
            if name in LEFT_OUT_FOLDERS or (here / name / "pyvenv.cfg").exists():
                folders.remove(name)
                yield here / name
        for name in files:
            if is_secret(name):
                yield here / name


def other_names(root: Path, hidden: set[Path]) -> dict[str, list[str]]:
    """The links to each linked Python file below the root, all by paths relative to it.

    Args:
        root: The project's folder, resolved.
        hidden: What `left_out` gives.
    """
    found: dict[str, list[str]] = {}
    for link in _walk(root, hidden):
        if link.suffix == ".py" and link.is_symlink():
            real = Path(os.path.realpath(link))
            if real.is_relative_to(root) and real.is_file():
                names = found.setdefault(real.relative_to(root).as_posix(), [])
                names.append(link.relative_to(root).as_posix())
    return found


def snapshot(root: Path, limit_bytes: int, too_large: list[str] | None = None) -> bytes:
    """The project's files as a tar, without what no test needs.

    Args:
        root: The project's folder.
        limit_bytes: The most that the files may have together.
        too_large: Takes the paths, relative to the root, of files over `MAX_FILE_BYTES`,
            which are left out.

    Raises:
        SandboxFailed: They are larger than `limit_bytes`; the message says what to do.
    """
    buffer = io.BytesIO()
    hidden = set(left_out(root))
    total = 0
    archive: Any  # its record of links has no type
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _walk(root, hidden):
            try:
                archive.inodes.clear()  # a second link to a file is a file of its own in there
                info = archive.gettarinfo(path, arcname=str(path.relative_to(root)))
                if not (info.isfile() or info.isdir() or info.issym()):
                    continue  # sockets, pipes and devices have no place in a copy
                if info.size > MAX_FILE_BYTES:
                    if too_large is not None:
                        too_large.append(info.name)
                    continue
                info.uid = info.gid = 0
                # Nothing in a copy runs as another user.
                info.mode = (info.mode & 0o777) | (0o600 if info.isfile() else 0o700)
                data = _read(path, info) if info.isfile() else None
                total += info.size
                if total > limit_bytes:
                    raise SandboxFailed(
                        f"the project below {root} is larger than the sandbox's "
                        f"{limit_bytes // 2**20} MiB: raise selfheal_disk"
                    )
                archive.addfile(info, io.BytesIO(data) if data is not None else None)
            except OSError:
                continue  # unreadable, or gone since it was listed
    return buffer.getvalue()


def _read(path: Path, info: tarfile.TarInfo) -> bytes:
    """Read the file that was looked at, and nothing that was put in its place since.

    Raises:
        OSError: It is a link, a pipe or a device by now, or cannot be read.
    """
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(f"{path} is no file any more")
        data = file.read(MAX_FILE_BYTES)
    info.size = len(data)
    return data


def notes_on(too_large: Sequence[str]) -> list[str]:
    """A line on the files that were too large for the copy, none where there are none."""
    if not too_large:
        return []
    more = f" and {len(too_large) - 1} more" if len(too_large) > 1 else ""
    limit = MAX_FILE_BYTES // 2**20
    return [f"not in the sandbox, since over {limit} MiB: {too_large[0]}{more}"]


def _walk(root: Path, hidden: set[Path]) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here / name not in hidden)
        for name in (*folders, *sorted(files)):
            if here / name not in hidden:
                yield here / name
