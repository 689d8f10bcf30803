#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {
namespace {

#include "kernels/cpu/preprocess/vector_baseline.inc"
// The loops are written on top of the vectors.
#include "kernels/cpu/preprocess/loops.inc"

}  // namespace

extern const PreprocessKernels kPreprocessBaseline = MakeKernels("baseline");

}  // namespace cliptag
