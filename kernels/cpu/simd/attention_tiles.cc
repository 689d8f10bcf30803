#include "kernels/cpu/simd/attention_tiles.h"

#include <algorithm>

#include "kernels/cpu/simd/simd.h"

namespace cliptag {

int64_t AttentionScratchFloats(int head_dim) {
  return std::max(attention_tiles::Total(head_dim), attention_tiles::bf16::Total(head_dim));
}

}  // namespace cliptag
