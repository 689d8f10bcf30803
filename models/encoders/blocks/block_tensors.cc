#include "models/encoders/blocks/block_tensors.h"

namespace cliptag {

HostTensor TensorReader::Get(const std::string& name, std::vector<int64_t> shape) {
  if (!status_.ok()) return {};
  Result<HostTensor> tensor = weights_.Get(prefix_ + name, std::move(shape));
  if (tensor.ok()) return tensor.Take();
  status_ = tensor.status();
  return {};
}

NormTensors TensorReader::Norm(const std::string& name, int64_t width) {
  return {Get(name + ".weight", {width}), Get(name + ".bias", {width})};
}

BatchNormTensors TensorReader::BatchNorm(const std::string& name, int64_t channels) {
  BatchNormTensors norm{Get(name + ".weight", {channels}), Get(name + ".bias", {channels}),
                        Get(name + ".running_mean", {channels}),
                        Get(name + ".running_var", {channels})};
  for (int64_t i = 0; i < channels && status_.ok(); ++i) {
    const float value = ElementOf(norm.variance, i);
    if (value >= 0) continue;
    status_ = DataLoss("The tensor '" + prefix_ + name + ".running_var' holds " +
                       std::to_string(value) + ", which no variance is; the weights are damaged.");
  }
  return norm;
}

void TensorReader::Linear(const std::string& name, int64_t out, int64_t in, HostTensor* weight,
                          HostTensor* bias) {
  *weight = Get(name + ".weight", {out, in});
  *bias = Get(name + ".bias", {out});
}

}  // namespace cliptag
