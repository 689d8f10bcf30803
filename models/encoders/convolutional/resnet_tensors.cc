#include "models/encoders/convolutional/resnet_tensors.h"

#include <string>

namespace cliptag {
namespace {

NormedConvolutionTensors ReadConvolution(TensorReader* reader, const std::string& convolution,
                                         const std::string& norm, int64_t out, int64_t in,
                                         int64_t kernel) {
  return {reader->Get(convolution + ".weight", {out, in, kernel, kernel}),
          reader->BatchNorm(norm, out)};
}

BottleneckTensors ReadBottleneck(TensorReader* reader, const std::string& prefix, int64_t in,
                                 int64_t planes, int stride) {
  BottleneckTensors block;
  block.stride = stride;
  block.conv1 = ReadConvolution(reader, prefix + "conv1", prefix + "bn1", planes, in, 1);
  block.conv2 = ReadConvolution(reader, prefix + "conv2", prefix + "bn2", planes, planes, 3);
  block.conv3 = ReadConvolution(reader, prefix + "conv3", prefix + "bn3", 4 * planes, planes, 1);
  if (stride > 1 || in != 4 * planes) {
    block.shortcut = ReadConvolution(reader, prefix + "downsample.0", prefix + "downsample.1",
                                     4 * planes, in, 1);
  }
  return block;
}

}  // namespace

Result<ResNetTensors> GetTensors(const Weights& weights, const ModelConfig& config,
                                 const ResNetConfig& resnet) {
  const int64_t width = resnet.width, features = resnet.features();
  TensorReader reader(weights, "visual.");
  ResNetTensors out;
  out.stem[0] = ReadConvolution(&reader, "conv1", "bn1", width / 2, 3, 3);
  out.stem[1] = ReadConvolution(&reader, "conv2", "bn2", width / 2, width / 2, 3);
  out.stem[2] = ReadConvolution(&reader, "conv3", "bn3", width, width / 2, 3);
  int64_t in = width;
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t planes = width << stage;
    for (int i = 0; i < resnet.layers[stage] && reader.status().ok(); ++i) {
      const std::string prefix =
          "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".";
      out.blocks.push_back(
          ReadBottleneck(&reader, prefix, in, planes, stage > 0 && i == 0 ? 2 : 1));
      in = 4 * planes;
    }
  }
  out.position =
      reader.Get("attnpool.positional_embedding", {1 + resnet.grid() * resnet.grid(), features});
  reader.Linear("attnpool.q_proj", features, features, &out.q, &out.q_bias);
  reader.Linear("attnpool.k_proj", features, features, &out.k, &out.k_bias);
  reader.Linear("attnpool.v_proj", features, features, &out.v, &out.v_bias);
  reader.Linear("attnpool.c_proj", config.embed_dim, features, &out.out, &out.out_bias);
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace cliptag
