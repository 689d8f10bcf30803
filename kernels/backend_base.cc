#include <string>

#include "kernels/backend.h"

namespace cliptag {
namespace {

class PlainGraph : public Graph {
 public:
  Status Run(FunctionRef<Status()> operations) override { return operations(); }
};

}  // namespace

Status Backend::SqueezeExcite(const FeatureMap&, const Matrix&, Activation, const FeatureMap&) {
  return Unsupported(std::string("The ") + ToString(info().kind) +
                     " backend has no squeeze-excite.");
}

std::unique_ptr<Graph> Backend::CreateGraph() { return std::make_unique<PlainGraph>(); }

const char* ToString(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
    case Precision::kInt8:
      return "int8";
  }
  return "unknown";
}

Result<Precision> ParsePrecision(const std::string& name) {
  for (Precision p :
       {Precision::kAuto, Precision::kFp32, Precision::kBf16, Precision::kFp16, Precision::kInt8}) {
    if (name == ToString(p)) return p;
  }
  return InvalidArgument("No such precision: '" + name + "'; use auto, fp32, bf16, fp16 or int8.");
}

const char* ToString(BackendKind kind) {
  switch (kind) {
    case BackendKind::kAuto:
      return "auto";
    case BackendKind::kCpu:
      return "cpu";
    case BackendKind::kCuda:
      return "cuda";
    case BackendKind::kRef:
      return "ref";
  }
  return "unknown";
}

Result<BackendKind> ParseBackendKind(const std::string& name) {
  for (BackendKind k : {BackendKind::kAuto, BackendKind::kCpu, BackendKind::kCuda}) {
    if (name == ToString(k)) return k;
  }
  return InvalidArgument("No such backend: '" + name + "'; use auto, cpu or cuda.");
}

}  // namespace cliptag
