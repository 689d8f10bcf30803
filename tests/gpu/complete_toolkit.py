"""Prints the path of an nvcc whose toolkit has the headers and libraries that the CUDA backend needs.

    complete_toolkit.py NVCC FOLDER

That is NVCC itself where its toolkit is whole. Some images have a toolkit without libraries, and those in
Python packages (nvidia-cublas, nvidia-cuda-runtime, nvidia-cudnn): then FOLDER becomes a toolkit of links to
both, with an nvcc that calls the real one.
"""
import glob
import os
import pathlib
import site
import sys

HEADERS = ("cuda_runtime_api.h", "cublasLt.h", "cudnn.h")
LIBRARIES = ("libcudart_static.a", "libcublasLt.so", "libcudnn.so")
OPTIONAL = ("cudnn.h", "libcudnn.so")  # until the backend uses it


def library_folders(root):
    return [root / name for name in ("lib64", "lib", "targets/x86_64-linux/lib") if (root / name).is_dir()]


def is_complete(root):
    folders = library_folders(root)
    return (all((root / "include" / name).exists() for name in HEADERS if name not in OPTIONAL)
            and all(any((folder / name).exists() for folder in folders)
                    for name in LIBRARIES if name not in OPTIONAL))


def package_folders(kind):
    """Folders of that kind in the nvidia-* packages of this Python."""
    for base in [*site.getsitepackages(), site.getusersitepackages(), *sys.path]:
        yield from map(pathlib.Path, sorted(glob.glob(os.path.join(base, "nvidia", "*", kind))))


def link(target, name):
    if not os.path.lexists(name):
        name.symlink_to(target)


def complete(nvcc, root, made):
    for name in ("bin", "include", "lib64"):
        (made / name).mkdir(parents=True, exist_ok=True)
    for folder in [root / "include", *package_folders("include")]:
        for header in folder.iterdir() if folder.is_dir() else ():
            link(header, made / "include" / header.name)
    for folder in [*library_folders(root), *package_folders("lib")]:
        for library in folder.iterdir():
            link(library, made / "lib64" / library.name)
            # Packages have lib….so.13 alone; linkers look for lib….so.
            stem, dot, _ = library.name.partition(".so.")
            if dot:
                link(library, made / "lib64" / (stem + ".so"))
    wrapper = made / "bin" / "nvcc"
    wrapper.write_text(f'#!/bin/sh\nexec "{nvcc}" -I "{made}/include" "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def main():
    nvcc, made = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    root = nvcc.parent.parent
    print(nvcc if is_complete(root) else complete(nvcc, root, made))


if __name__ == "__main__":
    main()
