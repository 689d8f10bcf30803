#include <immintrin.h>

#include "kernels/cpu/preprocess_isa.h"

namespace cliptag {
namespace {

#include "kernels/cpu/preprocess_vector_avx2.inc"
// The loops are written on top of the vectors.
#include "kernels/cpu/preprocess_loops.inc"
#include "kernels/cpu/preprocess_pairs.inc"

}  // namespace

extern const PreprocessKernels kAvx2PreprocessKernels = MakeKernels("avx2", &DownPairsU8);

}  // namespace cliptag
