#include "models/resnet_tensors.h"

#include <string>

namespace cliptag {
namespace {

class Reader {
 public:
  explicit Reader(const Weights& weights) : weights_(weights) {}

  // An empty tensor once something has failed.
  HostTensor Get(const std::string& name, std::vector<int64_t> shape) {
    if (!status_.ok()) return {};
    Result<HostTensor> tensor = weights_.Get("visual." + name, std::move(shape));
    if (tensor.ok()) return tensor.Take();
    status_ = tensor.status();
    return {};
  }
  NormedConvolutionTensors Convolution(const std::string& convolution, const std::string& norm,
                                       int64_t out, int64_t in, int64_t kernel) {
    return {Get(convolution + ".weight", {out, in, kernel, kernel}), Get(norm + ".weight", {out}),
            Get(norm + ".bias", {out}), Get(norm + ".running_mean", {out}),
            Variance(norm + ".running_var", out)};
  }
  const Status& status() const { return status_; }

 private:
  HostTensor Variance(const std::string& name, int64_t count) {
    const HostTensor tensor = Get(name, {count});
    for (int64_t i = 0; i < count && tensor.data != nullptr && status_.ok(); ++i) {
      const float value = ElementOf(tensor, i);
      if (value >= 0) continue;
      status_ = DataLoss("The tensor 'visual." + name + "' holds " + std::to_string(value) +
                         ", which no variance is; the weights are damaged.");
    }
    return tensor;
  }

  const Weights& weights_;
  Status status_;
};

BottleneckTensors ReadBottleneck(Reader* reader, const std::string& prefix, int64_t in,
                                 int64_t planes, int stride) {
  BottleneckTensors block;
  block.stride = stride;
  block.conv1 = reader->Convolution(prefix + "conv1", prefix + "bn1", planes, in, 1);
  block.conv2 = reader->Convolution(prefix + "conv2", prefix + "bn2", planes, planes, 3);
  block.conv3 = reader->Convolution(prefix + "conv3", prefix + "bn3", 4 * planes, planes, 1);
  if (stride > 1 || in != 4 * planes) {
    block.shortcut =
        reader->Convolution(prefix + "downsample.0", prefix + "downsample.1", 4 * planes, in, 1);
  }
  return block;
}

}  // namespace

Result<ResNetTensors> GetResNetTensors(const Weights& weights, const ModelConfig& config) {
  const ResNetConfig& resnet = config.vision.resnet;
  const int64_t width = resnet.width, features = resnet.features();
  Reader reader(weights);
  ResNetTensors out;
  out.stem[0] = reader.Convolution("conv1", "bn1", width / 2, 3, 3);
  out.stem[1] = reader.Convolution("conv2", "bn2", width / 2, width / 2, 3);
  out.stem[2] = reader.Convolution("conv3", "bn3", width, width / 2, 3);
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
