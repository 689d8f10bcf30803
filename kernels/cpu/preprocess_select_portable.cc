#include "kernels/cpu/preprocess_isa.h"

namespace cliptag {

const PreprocessKernels& BestPreprocessKernels() { return kPortablePreprocessKernels; }

const PreprocessKernels* const* SupportedPreprocessKernels(int* count) {
  static const PreprocessKernels* const only[] = {&kPortablePreprocessKernels};
  *count = 1;
  return only;
}

}  // namespace cliptag
