#include "kernels/cpu/preprocess_isa.h"

namespace cliptag {
namespace {

#include "kernels/cpu/preprocess_vector_portable.inc"
// The loops are written on top of the vectors.
#include "kernels/cpu/preprocess_loops.inc"

}  // namespace

extern const PreprocessKernels kPortablePreprocessKernels = MakeKernels("portable");

}  // namespace cliptag
