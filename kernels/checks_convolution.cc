#include "kernels/base/concat.h"
#include "kernels/checks.h"

namespace cliptag {
namespace {

Status CheckMap(const char* what, const FeatureMap& map, int batch, int height, int width,
                int channels, DType type) {
  const Matrix& m = map.pixels;
  const auto shape = [](int b, int h, int w, int64_t c) {
    return Concat(b, "x", h, "x", w, "x", c);
  };
  if (map.batch != batch || map.height != height || map.width != width || m.cols != channels) {
    return InvalidArgument(Concat(what, " is ", shape(map.batch, map.height, map.width, m.cols),
                                  " but should be ", shape(batch, height, width, channels), "."));
  }
  if (batch < 1 || height < 1 || width < 1 || channels < 1) {
    return InvalidArgument(
        Concat(what, " is empty (", shape(batch, height, width, channels), ")."));
  }
  if (m.rows != int64_t{batch} * height * width || m.stride != m.cols || m.type != type) {
    return InvalidArgument(
        Concat(what, " must have one row per pixel, without gaps, of the backend's type."));
  }
  if (m.data == nullptr) return InvalidArgument(Concat(what, " has no memory."));
  return {};
}

Status CheckInput(const char* what, const FeatureMap& x, int channels, DType type) {
  return CheckMap(what, x, x.batch, x.height, x.width, channels, type);
}

}  // namespace

Status CheckConvolutionSpec(const ConvolutionSpec& spec) {
  const HostTensor& w = spec.weight;
  if (w.data == nullptr || w.type == DType::kI32 || w.shape.size() != 4 || w.elements() < 1 ||
      w.shape[2] != w.shape[3]) {
    return InvalidArgument("PackConvolution: the weight must be (out, in, kernel, kernel).");
  }
  if (spec.groups != 1 && (spec.groups < 1 || w.shape[1] != 1 || w.shape[0] % spec.groups != 0)) {
    return InvalidArgument(Concat("PackConvolution: ", spec.groups,
                                  " groups are neither one nor as many as inputs; the weight of a "
                                  "depthwise convolution is (out, 1, kernel, kernel)."));
  }
  if (spec.stride < 1 || spec.padding < 0 || spec.padding >= w.shape[2]) {
    return InvalidArgument(Concat("PackConvolution: a stride of ", spec.stride,
                                  " with a padding of ", spec.padding, " is not possible."));
  }
  if (spec.bias.data != nullptr &&
      (spec.bias.type == DType::kI32 || spec.bias.elements() != w.shape[0])) {
    return InvalidArgument(
        Concat("PackConvolution: the bias should have ", w.shape[0], " floating-point values."));
  }
  return {};
}

Status CheckConvolve(const FeatureMap& x, const Convolution& convolution,
                     const FeatureMap* residual, bool relu, DType compute_type,
                     const FeatureMap& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckInput("Convolve: x", x, convolution.in_channels(), compute_type));
  const int least = convolution.kernel() - 2 * convolution.padding();
  if (x.height < least || x.width < least) {
    return InvalidArgument("Convolve: x is smaller than the window.");
  }
  if (convolution.activation() != Activation::kNone && (residual != nullptr || relu)) {
    return InvalidArgument(
        "Convolve: a convolution with an activation takes neither a residual nor ReLU.");
  }
  const int height = convolution.OutEdge(x.height), width = convolution.OutEdge(x.width);
  const int channels = convolution.out_channels();
  if (residual != nullptr) {
    CLIPTAG_RETURN_IF_ERROR(
        CheckMap("Convolve: residual", *residual, x.batch, height, width, channels, compute_type));
  }
  return CheckMap("Convolve: out", out, x.batch, height, width, channels, compute_type);
}

Status CheckAveragePool(const FeatureMap& x, int window, DType compute_type,
                        const FeatureMap& out) {
  const int channels = static_cast<int>(x.pixels.cols);
  CLIPTAG_RETURN_IF_ERROR(CheckInput("AveragePool: x", x, channels, compute_type));
  if (window < 1 || window > x.height || window > x.width) {
    return InvalidArgument(Concat("AveragePool: a window of ", window, " does not fit into x."));
  }
  return CheckMap("AveragePool: out", out, x.batch, x.height / window, x.width / window, channels,
                  compute_type);
}

Status CheckSqueezeExcite(const FeatureMap& x, const Matrix& gates, DType compute_type,
                          const FeatureMap& out) {
  const int channels = static_cast<int>(x.pixels.cols);
  CLIPTAG_RETURN_IF_ERROR(CheckInput("SqueezeExcite: x", x, channels, compute_type));
  if (gates.data == nullptr || gates.rows != x.batch || gates.cols != channels ||
      gates.stride != gates.cols || gates.type != compute_type) {
    return InvalidArgument(Concat("SqueezeExcite: the gates should be ", x.batch, "x", channels,
                                  ", without gaps, of the backend's type."));
  }
  return CheckMap("SqueezeExcite: out", out, x.batch, x.height, x.width, channels, compute_type);
}

}  // namespace cliptag
