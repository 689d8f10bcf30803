// Where a CLIP model's tensors are in any of the layouts, checked against the configuration: the
// towers below hold the same tensors whatever the file calls them.
//
// Ownership: the tensors borrow from Weights. Plain data.
#pragma once

#include <variant>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/blocks/block_tensors.h"
#include "models/encoders/convolutional/conv_stem.h"
#include "models/encoders/convolutional/fastvit_tensors.h"
#include "models/encoders/convolutional/resnet_tensors.h"
#include "models/weights/weights.h"

namespace cliptag {

// See models/encoders/attention_pool.h; the inner width is that of queries and answers.
struct AttentionPoolTensors {
  HostTensor query;                  // (inner) or more, of which the first `inner` count
  NormTensors query_norm, key_norm;  // (inner), (width); no data without
  HostTensor qkv[3];                 // (inner, inner), and twice (inner, width)
  HostTensor qkv_bias[3];            // (inner)
  HostTensor out, out_bias;          // (inner, inner), (inner)
  NormTensors norm;                  // (inner), of the MLP; no data without
  HostTensor fc1, fc1_bias;          // (mlp, inner), (mlp)
  HostTensor fc2, fc2_bias;          // (inner, mlp), (inner)
};

struct VitTensors {
  HostTensor patch, patch_bias;     // (width, 3, patch, patch)
  HostTensor class_token;           // (width); no data without
  ConvStemTensors stem;             // in place of a patch's
  HostTensor position;              // (tokens, width), or (patches, width) without class_position
  NormTensors pre_norm, post_norm;  // post_norm: (width), after CoCa's pool (embed)
  std::vector<BlockTensors> blocks;
  AttentionPoolTensors pool;
  ProjectionTensors projection;
};

using VisionTensors = std::variant<VitTensors, ResNetTensors, FastVitTensors>;

struct TextTensors {
  HostTensor token;        // (vocab, width)
  HostTensor class_token;  // (width); no data without
  HostTensor position;     // (context, width), one more with a class token
  NormTensors final_norm;
  std::vector<BlockTensors> blocks;
  ProjectionTensors projection;
};

// Of the kind that the configuration has.
Result<VisionTensors> GetVisionTensors(const Weights& weights, const ModelConfig& config);
Result<TextTensors> GetTextTensors(const Weights& weights, const ModelConfig& config);
// Scale of the logits, and their bias where it stands among the weights.
Status ReadLogits(const Weights& weights, ModelConfig* config);

}  // namespace cliptag
