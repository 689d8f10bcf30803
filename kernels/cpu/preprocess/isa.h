// The tables of kernels/cpu/preprocess/kernels.h by name; a build has those of its architecture.
#pragma once

#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {

extern const PreprocessKernels kPortablePreprocessKernels;
extern const PreprocessKernels kAvx2PreprocessKernels;
extern const PreprocessKernels kAvx512PreprocessKernels;

}  // namespace cliptag
