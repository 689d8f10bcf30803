#include <array>

#include "kernels/cpu/preprocess_isa.h"

namespace cliptag {
namespace {

struct Supported {
  std::array<const PreprocessKernels*, 3> kernels{};
  int count = 0;
};

const Supported& Find() {
  static const Supported supported = [] {
    Supported s;
    s.kernels[s.count++] = &kPortablePreprocessKernels;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      s.kernels[s.count++] = &kAvx2PreprocessKernels;
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        s.kernels[s.count++] = &kAvx512PreprocessKernels;
      }
    }
    return s;
  }();
  return supported;
}

}  // namespace

const PreprocessKernels& BestPreprocessKernels() { return *Find().kernels[Find().count - 1]; }

const PreprocessKernels* const* SupportedPreprocessKernels(int* count) {
  *count = Find().count;
  return Find().kernels.data();
}

}  // namespace cliptag
