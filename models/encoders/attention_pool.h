// The pooling by attention that SigLIP's and CoCa's image towers end with: one learnt query asks
// all tokens of a picture. The query is the same for every picture, so that its projection is done
// once, at load; of CoCa's many queries only the first one's answer is the embedding.
//
// Ownership: borrows the Backend; owns its packed weights. Used by the Backend's thread.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/blocks/transformer.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"

namespace cliptag {

class AttentionPooling {
 public:
  struct Scratch {
    Matrix norm;    // (rows, width) compute_type
    Matrix kv;      // (rows, 2 inner) compute_type
    Matrix answer;  // (batch, inner) compute_type
    Matrix pooled;  // (batch, inner) f32
    Matrix middle;  // (batch, mlp) compute_type; the MLP's
  };

  static Result<std::unique_ptr<AttentionPooling>> Load(Backend& backend, const VitConfig& config,
                                                        int64_t embed_dim,
                                                        const VitTensors& tensors);

  // The query for every picture of a batch.
  Status Setup(int max_batch);
  // Plans the products of a run.
  Status Prepare(int batch) const;
  Scratch Plan(Arena* arena, int64_t batch) const;

  // x: (batch * tokens, width) f32, the residual stream after the last block. The embeddings, not
  // yet of unit length, to `out`: (batch, embed_dim) f32.
  Status Run(const Matrix& x, int batch, const Scratch& scratch, const Matrix& out) const;

 private:
  AttentionPooling(Backend& backend, const VitConfig& config, int64_t embed_dim);
  Status LoadQuery(const AttentionPoolTensors& pool);

  Backend& backend_;
  const int64_t tokens_, width_, inner_, heads_, mlp_width_;
  const float epsilon_;
  const bool probe_;  // SigLIP's; else CoCa's

  Norm key_norm_, norm_;
  std::unique_ptr<Linear> kv_, out_;
  std::unique_ptr<Linear> fc1_, fc2_;   // SigLIP's
  std::unique_ptr<Linear> projection_;  // CoCa's
  Activation activation_ = Activation::kGelu;
  std::vector<float> query_;         // (inner), projected
  std::unique_ptr<Memory> queries_;  // (max_batch, inner) compute_type
};

}  // namespace cliptag
