"""The identity of the code that a step can reach: its modules, their files of data, and the installed libraries."""

import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

import pipeline
from pipeline.folders import digest, hash_file

if TYPE_CHECKING:
    from grimp import ImportGraph

# What a run is, how it is looked up and how a process starts decides no result.
_HANDS_ON = frozenset(
    f"{pipeline.__name__}.runs.{name}" for name in ("fingerprint", "processes", "run", "sequence", "transaction")
)


@cache
def code_hash(module: str) -> str:
    """Hash of what a module can reach by its imports, also those inside functions, but not through what runs it.

    That is the bytes of every such module of this package, the bytes of the files of data that belong to one, such as
    the templates of the report, and the installed version of every library that one of them imports.

    Args:
        module: Where the function that computes is defined; outside of this package only its file counts.
    """
    if not module.startswith(f"{pipeline.__name__}."):
        file = getattr(sys.modules[module], "__file__", None)
        return digest([module, hash_file(Path(file)) if file else ""])
    modules, libraries = _reach(module)
    root = Path(pipeline.__file__).parent
    files = sorted({path for name in modules for path in _files(root, name)})
    return digest(
        {
            "files": {path.relative_to(root).as_posix(): hash_file(path) for path in files},
            "libraries": {library: _version(library) for library in sorted(libraries)},
        }
    )


def _reach(module: str) -> tuple[set[str], set[str]]:
    """Modules of this package and top-level modules of libraries that a module reaches, itself included."""
    graph = _graph()
    reached, waiting = {module}, [module]
    while waiting:
        for name in graph.find_modules_directly_imported_by(waiting.pop()) - reached:
            if name not in _HANDS_ON:
                reached.add(name)
                waiting.append(name)
    own = {name for name in reached if name.split(".")[0] == pipeline.__name__}
    return own, {name for name in reached - own if name not in sys.stdlib_module_names}


@cache
def _graph() -> "ImportGraph":
    import grimp

    return grimp.build_graph(
        pipeline.__name__, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def _files(root: Path, module: str) -> Iterable[Path]:
    """The file of a module, and the data whose name begins with the module's: `report.html` belongs to `report`."""
    path = root.joinpath(*module.split(".")[1:])
    if path.is_dir():
        yield path / "__init__.py"
        return
    yield from (one for one in path.parent.glob(f"{path.name}[._]*") if one.suffix not in (".py", ".pyc"))
    yield path.with_suffix(".py")


@cache
def _version(library: str) -> str:
    """The installed version of what a top-level module belongs to."""
    try:
        return version(library.replace("_", "-"))
    except PackageNotFoundError:
        # What each one installed, read as text: `packages_distributions` parses all of it, a second in every task.
        own = re.compile(rf"^{re.escape(library)}[/.]", re.MULTILINE)
        found = (one for one in distributions() if own.search(one.read_text("RECORD") or ""))
        names = {one.metadata["Name"]: one.version for one in found}
        return ", ".join(f"{name} {names[name]}" for name in sorted(names)) or "absent"


def device_class() -> str:
    """`cuda` where this process may use a GPU, else `cpu`; found without loading torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if Path("/proc/driver/nvidia/version").exists() and not hidden else "cpu"
