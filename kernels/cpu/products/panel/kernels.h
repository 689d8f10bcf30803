// What the sources of the panel kernels share.
#pragma once

#include "kernels/cpu/products/panel/panel.h"

namespace cliptag {

// A word at any address. Static: the linker must not use one instruction set's code for another.
template <typename Word>
static inline Word LoadWord(const char* p) {
  Word word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// Prefetches the residual of the next rows, which may have been written long ago.
static inline void PrefetchResidual(int rows, const EpilogueTask& finish) {
  if (finish.residual == nullptr) return;
  const int64_t size = finish.bf16 ? 2 : 4;
  const char* row = static_cast<const char*>(finish.residual);
  for (int r = 0; r < rows; ++r, row += finish.residual_stride * size) {
    for (int64_t at = 0; at < finish.cols * size; at += 64) __builtin_prefetch(row + at, 0, 3);
  }
}

// Where the sums of a row go in a task without an epilogue.
static inline float* SumsOf(const PanelTask& task, int64_t row) {
  return static_cast<float*>(task.finish.out) + row * kPanelColumns;
}

// Moves the epilogue on by `rows` rows.
static inline void AdvanceRows(int rows, EpilogueTask* finish) {
  const int64_t bytes = finish->bf16 ? 2 : 4;
  finish->out = static_cast<char*>(finish->out) + rows * finish->out_stride * bytes;
  if (finish->residual != nullptr) {
    finish->residual =
        static_cast<const char*>(finish->residual) + rows * finish->residual_stride * bytes;
  }
}

}  // namespace cliptag
