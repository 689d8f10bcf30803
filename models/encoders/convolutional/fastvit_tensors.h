// Where the tensors of MobileCLIP's FastViT are, in timm's names: as it was trained, in branches,
// or already made one convolution each (timm's reparameterize_model).
//
// Ownership: the tensors borrow from Weights. Plain data.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/convolutional/branched_convolution.h"

namespace cliptag {

// The means of a picture's channels to their gates; without data where there are none.
struct SqueezeTensors {
  BranchedConvolution reduce, expand;
};

struct FastVitBlockTensors {
  // How pixels are mixed: a depthwise convolution, the input itself added, or attention.
  BranchedConvolution mixer;
  BatchNormTensors batch_norm;  // in front of attention; or
  NormTensors layer_norm;
  HostTensor qkv;           // (3 width, width)
  BranchedConvolution out;  // to be added to the input
  // How channels are: a depthwise convolution and two of a pixel, to be added likewise.
  BranchedConvolution depthwise, fc1, fc2;
};

struct FastVitStageTensors {
  BranchedConvolution large, point;  // that halve the map; none in the first stage
  SqueezeTensors squeeze;
  BranchedConvolution position;  // the input itself added; of attention
  std::vector<FastVitBlockTensors> blocks;
};

struct FastVitTensors {
  BranchedConvolution stem[3];
  std::vector<FastVitStageTensors> stages;
  BranchedConvolution last;
  SqueezeTensors last_squeeze;
  HostTensor head, head_bias;  // (embed, features), (embed)
};

Result<FastVitTensors> GetTensors(const Weights& weights, const ModelConfig& config,
                                  const FastVitConfig& fast);

}  // namespace cliptag
