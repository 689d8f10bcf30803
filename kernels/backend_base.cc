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

Convolution::Convolution(const ConvolutionSpec& spec)
    : in_channels_(static_cast<int>(spec.weight.shape[1]) * spec.groups),
      out_channels_(static_cast<int>(spec.weight.shape[0])),
      kernel_(static_cast<int>(spec.weight.shape[2])),
      stride_(spec.stride),
      padding_(spec.padding),
      activation_(spec.activation) {}

}  // namespace cliptag
