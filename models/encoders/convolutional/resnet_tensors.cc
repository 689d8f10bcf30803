#include "models/encoders/convolutional/resnet_tensors.h"

#include <string>

namespace cliptag {
namespace {

NormedConvolutionTensors ReadConvolution(ConvolutionReader* reader, const std::string& convolution,
                                         const std::string& norm, int64_t out, int64_t in,
                                         int64_t kernel) {
  return {reader->Get(convolution + ".weight", {out, in, kernel, kernel}), reader->Norm(norm, out)};
}

BottleneckTensors ReadBottleneck(ConvolutionReader* reader, const std::string& prefix, int64_t in,
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

Result<ResNetTensors> GetResNetTensors(const Weights& weights, const ModelConfig& config) {
  const ResNetConfig& resnet = config.vision.resnet;
  const int64_t width = resnet.width, features = resnet.features();
  ConvolutionReader reader(weights, "visual.");
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
  const int64_t grid = config.vision.image_size / 32;
  out.position = reader.Get("attnpool.positional_embedding", {1 + grid * grid, features});
  const auto linear = [&](const std::string& name, int64_t outputs, HostTensor* weight,
                          HostTensor* bias) {
    *weight = reader.Get("attnpool." + name + ".weight", {outputs, features});
    *bias = reader.Get("attnpool." + name + ".bias", {outputs});
  };
  linear("q_proj", features, &out.q, &out.q_bias);
  linear("k_proj", features, &out.k, &out.k_bias);
  linear("v_proj", features, &out.v, &out.v_bias);
  linear("c_proj", config.embed_dim, &out.out, &out.out_bias);
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace cliptag
