#include <immintrin.h>

#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {
namespace {

#include "kernels/cpu/preprocess/vector_avx512.inc"
// The loops are written on top of the vectors.
#include "kernels/cpu/preprocess/loops.inc"
#include "kernels/cpu/preprocess/pairs.inc"

}  // namespace

extern const PreprocessKernels kPreprocessAvx512 = MakeKernels("avx512", &DownPairsU8);

}  // namespace cliptag
