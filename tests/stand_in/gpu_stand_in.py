"""`torch.cuda` with the two GPUs of gpu.cpp, in a torch that was built for CPUs alone.

For tests of what only a GPU runs, on machines that have none. Tensors lie in this machine's memory and its CPU
computes; all else is as strict as on a GPU: devices do not mix, what runs in two streams waits or races, a recorded
graph computes nothing until it is replayed. Nothing here says how fast a GPU is, nor how its kernels round; memory that
is freed within a recording is not watched.

`GPU_STAND_IN=LIBRARY` and this folder on PYTHONPATH give it to a Python and to those that it starts: it must be there
before torch is. `build` makes the library.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GPUS = 2
library: Any = None


def build(folder: Path) -> Path:
    """The library in `folder`, compiled where it is not there yet for this source and this torch.

    Raises:
        FileNotFoundError: no compiler.
        subprocess.CalledProcessError: what it said is in `stderr`.
    """
    spec = importlib.util.find_spec("torch")
    assert spec and spec.origin
    torch = Path(spec.origin).parent
    source = HERE / "gpu.cpp"
    name = hashlib.sha256(source.read_bytes() + importlib.metadata.version("torch").encode()).hexdigest()[:16]
    made = folder / f"gpu-{name}.so"
    if made.exists():
        return made
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise FileNotFoundError("no C++ compiler")
    includes = [f"-I{torch / 'include'}", f"-I{torch / 'include/torch/csrc/api/include'}"]
    links = [f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{torch / 'lib'}"]
    part = made.with_suffix(f".{os.getpid()}.part")
    command = [compiler, "-O1", "-std=c++20", "-fPIC", "-shared", "-w", *includes, str(source), "-o", str(part), *links]
    subprocess.run(command, check=True, capture_output=True, text=True)
    part.replace(made)
    return made


def environment(made: Path) -> dict[str, str]:
    """This process's variables, for one that has these GPUs."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"GPU_STAND_IN": str(made), "PYTHONPATH": path}


def faults() -> list[str]:
    """What a GPU might have computed wrongly since they were last asked for: races of streams, memory that was taken
    while it was in use, what a graph cannot record."""
    return str(library.gpu_faults().decode()).splitlines()


def host_waits() -> int:
    """How often this process has waited for a GPU."""
    return int(library.gpu_host_waits())


def install() -> None:
    """Makes them those of `torch.cuda`. Nothing else of it than what this project uses."""
    global library
    if "torch" in sys.modules:
        raise RuntimeError("torch was here before the GPUs were")
    whole, number, place = ctypes.c_int64, ctypes.c_int, ctypes.c_void_p
    library = ctypes.CDLL(os.environ["GPU_STAND_IN"])
    functions: dict[str, tuple[list[Any], Any]] = {
        "new_stream": ([number], whole),
        "current_stream": ([number], whole),
        "set_stream": ([whole], None),
        "device_of": ([whole], number),
        "current_device": ([], number),
        "set_device": ([number], None),
        "wait": ([whole, whole], None),
        "synchronize": ([number], number),
        "begin": ([whole], place),
        "end": ([], number),
        "replay": ([place], None),
        "free": ([place], None),
        "host_waits": ([], whole),
        "allocated": ([], whole),
        "peak": ([], whole),
        "faults": ([], ctypes.c_char_p),
    }
    for name, (takes, gives) in functions.items():
        function = library[f"gpu_{name}"]
        function.argtypes, function.restype = takes, gives
        setattr(library, f"gpu_{name}", function)
    import torch

    cuda: Any = torch.cuda
    cuda._initialized, cuda._lazy_init = True, lambda: None
    cuda.is_available = cuda.is_initialized = lambda: True
    cuda.device_count = lambda: GPUS
    cuda.get_device_name = lambda device=None: "no GPU, but what stands in for one"
    cuda.is_bf16_supported = lambda including_emulation=True: True
    cuda.manual_seed = cuda.manual_seed_all = lambda seed: None
    cuda.current_device = lambda: int(library.gpu_current_device())
    cuda.set_device = lambda device: library.gpu_set_device(index_of(device))
    cuda.device, cuda.synchronize = On, synchronize
    cuda.Stream, cuda.stream, cuda.current_stream = Stream, Inside, current_stream
    cuda.CUDAGraph, cuda.graph, cuda.graph_pool_handle = Graph, Recording, object
    cuda.mem_get_info = lambda device=None: (int(80e9) - library.gpu_allocated(), int(80e9))
    cuda.memory_allocated = cuda.memory_reserved = lambda device=None: int(library.gpu_allocated())
    cuda.max_memory_allocated = lambda device=None: int(library.gpu_peak())
    vars(torch.storage)["_StorageBase"].clone = clone_of_storage
    instead_of_nccl(torch.distributed)


def index_of(device: Any) -> int:
    """Of `cuda:1`, 1, torch.device(...); of none the current one's."""
    import torch

    index = device if device is None or isinstance(device, int) else torch.device(device).index
    return int(library.gpu_current_device()) if index is None else index


class Stream:
    """torch.cuda.Stream."""

    def __init__(self, device: Any = None, *, number: int | None = None) -> None:
        self.number = library.gpu_new_stream(index_of(device)) if number is None else number

    def wait_stream(self, other: Stream) -> None:
        library.gpu_wait(self.number, other.number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.number == other.number

    def __hash__(self) -> int:
        return self.number


def current_stream(device: Any = None) -> Stream:
    """torch.cuda.current_stream."""
    return Stream(number=library.gpu_current_stream(index_of(device)))


class On:
    """torch.cuda.device."""

    def __init__(self, device: Any) -> None:
        self.index = index_of(device)

    def __enter__(self) -> None:
        self.before = library.gpu_current_device()
        library.gpu_set_device(self.index)

    def __exit__(self, *_: object) -> None:
        library.gpu_set_device(self.before)


class Inside:
    """torch.cuda.stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.device = On(library.gpu_device_of(stream.number))

    def __enter__(self) -> None:
        self.device.__enter__()
        self.before = current_stream()
        library.gpu_set_stream(self.stream.number)

    def __exit__(self, *_: object) -> None:
        library.gpu_set_stream(self.before.number)
        self.device.__exit__()


class Graph:
    """torch.cuda.CUDAGraph."""

    recorded: int | None = None

    def replay(self) -> None:
        library.gpu_replay(self.recorded)

    def __del__(self) -> None:
        if self.recorded and library:
            library.gpu_free(self.recorded)


class Recording:
    """torch.cuda.graph."""

    def __init__(self, graph: Graph, pool: Any = None, stream: Stream | None = None, **_: object) -> None:
        self.graph, self.stream = graph, stream or Stream()

    def __enter__(self) -> None:
        synchronize()
        self.inside = Inside(self.stream)
        self.inside.__enter__()
        self.graph.recorded = library.gpu_begin(self.stream.number)
        if not self.graph.recorded:
            raise RuntimeError("CUDA error: operation not permitted: another graph is recorded, or a default stream")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        apart = library.gpu_end()
        self.inside.__exit__()
        if apart and kind is None:
            raise RuntimeError("CUDA error: capturing stream has unjoined work")


def synchronize(device: Any = None) -> None:
    """torch.cuda.synchronize."""
    if library.gpu_synchronize(index_of(device)):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def clone_of_storage(storage: Any) -> Any:
    """UntypedStorage.clone, by which tensors are deep-copied."""
    import torch

    bytes_ = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    return bytes_.clone().untyped_storage()


def instead_of_nccl(dist: Any) -> None:
    """Processes sum what lies on their GPUs through gloo."""
    init, reduce = dist.init_process_group, dist.all_reduce

    def init_process_group(backend: str, **options: Any) -> None:
        assert backend in ("gloo", "cpu:gloo,cuda:nccl"), backend
        init("gloo", **options)

    def all_reduce(x: Any) -> None:
        here = x.cpu()
        reduce(here)
        x.copy_(here)

    dist.init_process_group, dist.all_reduce = init_process_group, all_reduce
