// Reads a matrix from an NPY file as numpy saves it: float16, float32 or float64, little-endian,
// by rows or by columns. The header comes from strangers and is checked against the file's size.
//
// Thread safety: a pure function over files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct NpyMatrix {
  int64_t rows = 0, cols = 0;
  std::vector<float> values;  // (rows, cols)
};

Result<NpyMatrix> ReadNpyMatrix(const std::string& path);

}  // namespace cliptag
