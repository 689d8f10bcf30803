// What towers share beside their blocks: layer norms, the projection to embeddings, and attention
// with one query for each picture or text.
//
// Ownership: a Norm and a Linear hold memory of the Backend, which outlives them. Used by the
// Backend's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/encoders/blocks/block_tensors.h"

namespace cliptag {

// A layer norm's parameters in backend memory.
class Norm {
 public:
  static Result<Norm> Load(Backend& backend, const NormTensors& tensors, float epsilon);
  Status Run(Backend& backend, const Matrix& x, const Matrix& out) const {
    return backend.LayerNorm(x, static_cast<const float*>(gamma_->data()),
                             static_cast<const float*>(beta_->data()), epsilon_, out);
  }
  // residual += the norm of x; out: that, rounded.
  Status Add(Backend& backend, const Matrix& x, const Matrix& residual, const Matrix& out) const {
    return backend.AddLayerNorm(x, static_cast<const float*>(gamma_->data()),
                                static_cast<const float*>(beta_->data()), epsilon_, residual, out);
  }

 private:
  std::unique_ptr<Memory> gamma_, beta_;
  float epsilon_ = 1e-5f;
};

// Packs a projection; null when it has no weight.
Result<std::unique_ptr<Linear>> PackProjection(Backend& backend, const ProjectionTensors& tensors);

// Attention of one query for each item of a batch, (batch, width), to all its tokens: `kv` holds
// keys and values side by side, (batch * tokens, 2 * width).
AttentionArgs QueryEach(const Matrix& q, const Matrix& kv, int batch, int64_t tokens, int64_t heads,
                        const Matrix& out);

}  // namespace cliptag
