"""Compares include/ with the toolkit's own headers: every value, signature and field that the stand-in
declares must be declared there alike. Skipped, visibly, where the toolkit or one of its parts is missing.

    header_check.py COMPILER...          status 0, 1, or 77 (skipped)
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = ("cuda_runtime_api.h", "cublasLt.h", "cudnn.h")
PLACES = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda", "/opt/cuda",
          "/usr/lib/cuda", "/usr/local", "/usr"]
# Fields of the stand-in's own choice: the real structs have more of them.
PARTIAL = ("cudaDeviceProp", "cudaPointerAttributes")
# They are the stand-in's own: versions are those of the toolkit at hand.
OWN = ("CUDART_VERSION",)


def read(header):
    with open(os.path.join(HERE, "include", header), encoding="utf-8") as f:
        return re.sub(r"//[^\n]*", "", f.read())


def declarations(text):
    """(values, functions, structs with their fields) of a header of the stand-in."""
    values = [name for body in re.findall(r"enum\s*\w*\s*\{([^}]*)\}", text)
              for name in re.findall(r"(\w+)\s*=", body)]
    values += [name for name in re.findall(r"^#define (\w+) 0x", text, re.M)]
    functions = re.findall(r"^[\w ]+[\s*]+(c(?:uda|ublas|udnn)\w+)\(", text, re.M)
    structs = {}
    for before, body, after in re.findall(r"struct\s*(\w*)\s*\{([^}]*)\}\s*(\w*);", text):
        structs[after or before] = re.findall(r"(\w+)(?:\[\w*\])?;", body)
    return [v for v in values if v not in OWN], functions, structs


def program(header):
    values, functions, structs = declarations(read(header))
    lines = ["#include <cstdio>", "#include <cstddef>", f"#include <{header}>",
             "template <typename T> const char* Type() { return __PRETTY_FUNCTION__; }",
             "int main() {"]
    lines += [f'  std::printf("{v} = %lld\\n", static_cast<long long>({v}));' for v in values]
    lines += [f'  std::printf("{f}: %s\\n", Type<decltype(&{f})>());' for f in functions]
    for struct, fields in structs.items():
        if struct not in PARTIAL:
            lines.append(f'  std::printf("{struct}: %zu\\n", sizeof({struct}));')
        for field in fields:
            lines.append(f'  std::printf("{struct}.{field}: %s\\n", Type<decltype({struct}::{field})>());')
            if struct not in PARTIAL:
                lines.append(f'  std::printf("  at %zu\\n", offsetof({struct}, {field}));')
    return "\n".join(lines + ["}", ""]), len(values), len(functions)


def run(compiler, include, source):
    """What the program prints with the headers of that directory."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "program")
        with open(path + ".cc", "w", encoding="utf-8") as f:
            f.write(source)
        subprocess.run([*compiler, "-std=c++20", "-w", "-I" + include,
                        path + ".cc", "-o", path], check=True)
        return subprocess.run([path], capture_output=True, text=True, check=True).stdout.splitlines()


def main():
    compiler, different, skipped = sys.argv[1:], 0, []
    for header in HEADERS:
        real = next((os.path.join(p, "include") for p in PLACES
                     if p and os.path.exists(os.path.join(p, "include", header))), None)
        if real is None:
            skipped.append(header)
            continue
        source, values, functions = program(header)
        ours = run(compiler, os.path.join(HERE, "include"), source)
        theirs = run(compiler, real, source)
        print(f"{header}: {values} values and {functions} functions compared with those in {real}")
        for mine, other in zip(ours, theirs):
            if mine != other:
                print(f"  the stand-in has {mine}\n  the toolkit   {other}")
                different = 1
        if values == 0 or functions == 0:
            different = 1
    if skipped and not different:
        print("skipped: no " + ", ".join(skipped))
        return 77
    return different


if __name__ == "__main__":
    sys.exit(main())
