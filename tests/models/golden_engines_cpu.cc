#include "tests/models/golden_engines.h"

namespace cliptag {
namespace {

template <Precision kPrecision>
Result<std::unique_ptr<Backend>> CreateCpu() {
  return CreateBackend({.kind = BackendKind::kCpu, .precision = kPrecision, .threads = 2});
}

}  // namespace

const std::vector<GoldenEngine>& GoldenEngines() {
  // bf16 has 8 bits of mantissa; the bounds are the project's own (issue 3).
  static const std::vector<GoldenEngine> engines = {
      {"Ref", [] { return Result<std::unique_ptr<Backend>>(CreateRefBackend()); }, 0.9999, 0.9999,
       0.9995},
      {"CpuFp32", &CreateCpu<Precision::kFp32>, 0.9999, 0.9999, 0.9995},
      {"CpuBf16", &CreateCpu<Precision::kBf16>, 0.998, 0.995, 0.9975},
      // Bytes in the blocks of the image tower alone: texts are those of bf16.
      {"CpuInt8", &CreateCpu<Precision::kInt8>, 0.998, 0.995, 0.9975},
  };
  return engines;
}

}  // namespace cliptag
