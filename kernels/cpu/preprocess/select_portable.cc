// PreprocessKernelsFor where one portable version is compiled.
#include "kernels/cpu/preprocess/isa.h"

namespace cliptag {

const PreprocessKernels& PreprocessKernelsFor(CpuLevel) { return kPortablePreprocessKernels; }

}  // namespace cliptag
