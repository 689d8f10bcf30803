// The tensors of a transformer block, norms and a projection, whatever a file calls them, and what
// reads tensors by name.
//
// Ownership: the tensors borrow from Weights. Plain data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "models/weights/weights.h"

namespace cliptag {

struct NormTensors {
  HostTensor gamma, beta;  // (width)
};

struct BatchNormTensors {
  HostTensor gamma, beta, mean, variance;  // (channels)
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

// Names begin with a prefix. After the first error everything is empty, and status() has it.
class TensorReader {
 public:
  explicit TensorReader(const Weights& weights, std::string prefix = "")
      : weights_(weights), prefix_(std::move(prefix)) {}

  HostTensor Get(const std::string& name, std::vector<int64_t> shape);
  NormTensors Norm(const std::string& name, int64_t width);
  BatchNormTensors BatchNorm(const std::string& name, int64_t channels);
  // A linear layer's weight and bias: (out, in), (out).
  void Linear(const std::string& name, int64_t out, int64_t in, HostTensor* weight,
              HostTensor* bias);
  bool Has(const std::string& name) const { return weights_.Has(prefix_ + name); }
  std::vector<int64_t> Shape(const std::string& name) const {
    return weights_.Shape(prefix_ + name);
  }
  const Status& status() const { return status_; }

 private:
  const Weights& weights_;
  const std::string prefix_;
  Status status_;
};

}  // namespace cliptag
