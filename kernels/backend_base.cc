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

}  // namespace cliptag
