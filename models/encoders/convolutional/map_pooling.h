// The attention that CLIP's modified ResNet ends with: the mean of a picture's last feature map
// asks the mean and the map's places.
//
// One query a picture makes keys and values needless. A score q . (Wk x) is (Wk^T q) . x, a
// weighted sum of Wv x is Wv times that sum of x, and what the keys' bias adds to every score
// softmax takes away. So each head's question is put to the tokens themselves, and instead of all
// tokens only the questions and answers, a row of each picture and head, are multiplied by weights:
// in RN50 17 MFLOP a picture instead of 839, a fourteenth of all that the tower does. On a GPU,
// where two products a head are launched for longer than they run, keys and values are made as
// usual.
//
// Ownership: borrows the Backend; owns its packed weights. Used by the Backend's thread.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/convolutional/resnet_tensors.h"

namespace cliptag {

class MapPooling {
 public:
  struct Scratch {
    Matrix query, pooled;       // (batch, features)
    Matrix questions, answers;  // (batch, heads * features); or, where keys are made,
    Matrix kv;                  // (batch * tokens, 2 * features)
  };

  static Result<std::unique_ptr<MapPooling>> Load(Backend& backend, int heads,
                                                  const ResNetTensors& tensors);

  // Plans the products of a run.
  Status Prepare(int batch) const;
  Scratch Plan(Arena* arena, int64_t batch) const;

  // x: (batch * tokens, features), each picture's mean first. The embeddings, not yet of unit
  // length, to `out`: (batch, embed_dim) f32.
  Status Run(const Matrix& x, int batch, const Scratch& scratch, const Matrix& out) const;

 private:
  MapPooling(Backend& backend, int heads, const ResNetTensors& tensors);
  Status LoadHeads(const ResNetTensors& tensors);
  Status RunHeads(const Matrix& x, int batch, const Scratch& scratch) const;

  Backend& backend_;
  const int64_t tokens_, width_, heads_;
  std::unique_ptr<Linear> query_, out_;
  std::vector<std::unique_ptr<Linear>> ask_, answer_;  // of each head: Wk^T and Wv; or
  std::unique_ptr<Linear> kv_;
};

}  // namespace cliptag
