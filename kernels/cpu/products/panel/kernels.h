// What the sources of the panel kernels share.
#pragma once

#include "kernels/cpu/products/panel/panel.h"

namespace cliptag {

// A word at any address. Static: no code for one instruction set may be linked in another's place.
template <typename Word>
static inline Word LoadWord(const char* p) {
  Word word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// Brings closer what the next rows are added to, which may have been written long ago, while they
// are multiplied.
static inline void PrefetchResidual(int rows, const EpilogueTask& finish) {
  if (finish.residual == nullptr) return;
  const int64_t size = finish.bf16 ? 2 : 4;
  const char* row = static_cast<const char*>(finish.residual);
  for (int r = 0; r < rows; ++r, row += finish.residual_stride * size) {
    for (int64_t at = 0; at < finish.cols * size; at += 64) __builtin_prefetch(row + at, 0, 3);
  }
}

// Where a row's sums belong in a task without an epilogue.
static inline float* SumsOf(const PanelTask& task, int64_t row) {
  return static_cast<float*>(task.finish.out) + row * kPanelColumns;
}

// On to the rows behind the next `rows`.
static inline void AdvanceRows(int rows, EpilogueTask* finish) {
  const int64_t bytes = finish->bf16 ? 2 : 4;
  finish->out = static_cast<char*>(finish->out) + rows * finish->out_stride * bytes;
  if (finish->residual != nullptr) {
    finish->residual =
        static_cast<const char*>(finish->residual) + rows * finish->residual_stride * bytes;
  }
}

}  // namespace cliptag
