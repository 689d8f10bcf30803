#include "models/encoders/blocks/norm.h"

#include <cmath>

namespace cliptag {

Result<Norm> Norm::Load(Backend& backend, const NormTensors& tensors, float epsilon) {
  Norm norm;
  CLIPTAG_ASSIGN_OR_RETURN(norm.gamma_, backend.Upload(tensors.gamma, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(norm.beta_, backend.Upload(tensors.beta, DType::kF32));
  norm.epsilon_ = epsilon;
  return norm;
}

AttentionArgs QueryEach(const Matrix& q, const Matrix& kv, int batch, int64_t tokens, int64_t heads,
                        const Matrix& out) {
  AttentionArgs args;
  args.q = q;
  args.k = kv.Cols(0, q.cols);
  args.v = kv.Cols(q.cols, q.cols);
  args.out = out;
  args.batch = batch;
  args.q_tokens = 1;
  args.kv_tokens = static_cast<int>(tokens);
  args.heads = static_cast<int>(heads);
  args.head_dim = static_cast<int>(q.cols / heads);
  args.scale = 1.0f / std::sqrt(static_cast<float>(args.head_dim));
  return args;
}

Result<std::unique_ptr<Linear>> PackProjection(Backend& backend, const ProjectionTensors& tensors) {
  if (tensors.weight.data == nullptr) return std::unique_ptr<Linear>();
  LinearSpec spec{{tensors.weight}, {}, tensors.transposed, /*precise=*/true};
  if (tensors.bias.data != nullptr) spec.biases = {tensors.bias};
  return backend.PackLinear(spec);
}

}  // namespace cliptag
