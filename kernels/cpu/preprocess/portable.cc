#include "kernels/cpu/preprocess/isa.h"

namespace cliptag {
namespace {

#include "kernels/cpu/preprocess/vector_portable.inc"
// The loops are written on top of the vectors.
#include "kernels/cpu/preprocess/loops.inc"

}  // namespace

extern const PreprocessKernels kPortablePreprocessKernels = MakeKernels("portable");

}  // namespace cliptag
