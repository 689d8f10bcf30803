#include <string>

#include "kernels/backend.h"

namespace cliptag {
namespace {

class PlainRecording : public Recording {
 public:
  Status Run(FunctionRef<Status()> operations) override { return operations(); }
};

}  // namespace

Result<std::unique_ptr<Convolution>> Backend::PackConvolution(const ConvolutionSpec&) {
  return Unsupported("The " + info().name + " backend has no convolutions.");
}
Status Backend::Convolve(const FeatureMap&, const Convolution&, const FeatureMap*, bool,
                         const FeatureMap&) {
  return Unsupported("The " + info().name + " backend has no convolutions.");
}
Status Backend::AveragePool(const FeatureMap&, int, const FeatureMap&) {
  return Unsupported("The " + info().name + " backend has no pooling.");
}
Status Backend::Gate(const FeatureMap&, const Matrix&, Activation, const FeatureMap&) {
  return Unsupported("The " + info().name + " backend has no gates.");
}

std::unique_ptr<Recording> Backend::CreateRecording() { return std::make_unique<PlainRecording>(); }

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
