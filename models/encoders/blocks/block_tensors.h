// The tensors of a transformer block, a norm and a projection, whatever a file calls them.
//
// Ownership: the tensors borrow from Weights. Plain data.
#pragma once

#include "kernels/backend.h"

namespace cliptag {

struct NormTensors {
  HostTensor gamma, beta;  // (width)
};

struct BlockTensors {
  NormTensors norm1, norm2;
  NormTensors attention_norm, mlp_norm;  // (width), (mlp); no data without
  HostTensor qkv[3], qkv_bias[3];        // (width, width), (width); of K no data without a bias
  HostTensor out, out_bias;              // (width, width), (width)
  HostTensor gate, gate_bias;            // as fc1; no data without
  HostTensor fc1, fc1_bias;              // (mlp, width), (mlp)
  HostTensor fc2, fc2_bias;              // (width, mlp), (width)
  HostTensor scale1, scale2;             // (width) LayerScale; no data without
};

struct ProjectionTensors {
  HostTensor weight;  // (embed, width), or (width, embed) when transposed; no data without
  HostTensor bias;    // (embed); no data without
  bool transposed = false;
};

}  // namespace cliptag
