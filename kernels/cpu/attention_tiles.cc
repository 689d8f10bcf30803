#include "kernels/cpu/attention_tiles.h"

#include "kernels/cpu/simd.h"

namespace cliptag {

int64_t AttentionScratchFloats(int head_dim) { return attention_tiles::Total(head_dim); }

}  // namespace cliptag
