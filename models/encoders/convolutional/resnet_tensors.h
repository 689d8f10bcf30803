// Where the tensors of CLIP's modified ResNet are, in OpenAI's names, which open_clip kept.
//
// Ownership: the tensors borrow from Weights. Plain data.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/blocks/block_tensors.h"

namespace cliptag {

// A convolution without a bias, and the batch norm behind it.
struct NormedConvolutionTensors {
  HostTensor weight;  // (out, in, kernel, kernel)
  BatchNormTensors norm;
};

struct BottleneckTensors {
  NormedConvolutionTensors conv1, conv2, conv3;
  NormedConvolutionTensors shortcut;  // no data where the input itself is added
  int stride = 1;
};

struct ResNetTensors {
  NormedConvolutionTensors stem[3];
  std::vector<BottleneckTensors> blocks;
  // Of the attention pooling: (1 + grid * grid, features); (features, features), (features).
  HostTensor position;
  HostTensor q, k, v, q_bias, k_bias, v_bias;
  HostTensor out, out_bias;  // (embed, features), (embed)
};

Result<ResNetTensors> GetTensors(const Weights& weights, const ModelConfig& config,
                                 const ResNetConfig& resnet);

}  // namespace cliptag
