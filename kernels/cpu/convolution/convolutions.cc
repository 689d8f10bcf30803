#include "kernels/cpu/convolution/convolutions.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// Of unrolled windows (im2col) at a time: about the L2 caches of a few cores.
constexpr int64_t kUnrolledBytes = 1 << 20;

}  // namespace

class CpuConvolutions::Packed : public Convolution {
 public:
  using Convolution::Convolution;
  bool IsProduct() const { return kernel() == 1 && stride() == 1; }

  // One of these.
  std::unique_ptr<Linear> linear;  // of a product, or of unrolled windows
  std::unique_ptr<PackedWeight> panels, winograd, depthwise;
};

CpuConvolutions::CpuConvolutions(CpuLevel level, DType compute_type, const SimdKernels& kernels,
                                 CpuGemm* gemm, ThreadPool* pool)
    : compute_type_(compute_type),
      kernels_(kernels),
      gemm_(gemm),
      pool_(pool),
      depthwise_(compute_type, kernels, pool) {
  const bool native = compute_type == DType::kBF16 && level >= CpuLevel::kAvx512Bf16;
  const PanelKernel* kernel = PanelKernelFor(level, native ? PanelType::kBf16 : PanelType::kF32);
  if (kernel != nullptr) {
    panels_ = std::make_unique<PanelConvolution>(*kernel, compute_type, kernels, pool);
    winograd_ = WinogradConvolution::Create(level, *kernel, compute_type, kernels, pool);
  }
}

Result<std::unique_ptr<Convolution>> CpuConvolutions::Pack(const ConvolutionSpec& spec) {
  auto packed = std::make_unique<Packed>(spec);
  if (spec.groups > 1) {
    CLIPTAG_ASSIGN_OR_RETURN(packed->depthwise, depthwise_.Pack(spec));
  } else if (winograd_ && winograd_->Takes(spec)) {
    CLIPTAG_ASSIGN_OR_RETURN(packed->winograd, winograd_->Pack(spec));
  } else if (!packed->IsProduct() && panels_) {
    CLIPTAG_ASSIGN_OR_RETURN(packed->panels, panels_->Pack(spec));
  } else {
    const std::vector<float> rows = ChannelsLast(spec.weight);
    LinearSpec linear{{{rows.data(), DType::kF32, spec.weight.shape}}, {}};
    linear.precise = true;  // see the header
    if (spec.bias.data != nullptr) linear.biases = {spec.bias};
    CLIPTAG_ASSIGN_OR_RETURN(packed->linear, gemm_->Pack(linear));
  }
  return std::unique_ptr<Convolution>(std::move(packed));
}

Status CpuConvolutions::Run(const FeatureMap& x, const Convolution& convolution,
                            const FeatureMap* residual, bool relu, const FeatureMap& out) {
  const auto& packed = static_cast<const Packed&>(convolution);
  ProductFinish finish;
  finish.residual = residual != nullptr ? &residual->pixels : nullptr;
  finish.relu = relu;
  finish.activation = packed.activation();
  if (packed.depthwise) return depthwise_.Run(x, packed, *packed.depthwise, finish, out);
  if (packed.winograd) return winograd_->Run(x, packed, *packed.winograd, finish, out);
  if (packed.panels) return panels_->Run(x, packed, *packed.panels, finish, out);
  if (packed.IsProduct()) return gemm_->Run(x.pixels, *packed.linear, finish, out.pixels);
  return RunUnrolled(x, packed, finish, out);
}

Status CpuConvolutions::RunUnrolled(const FeatureMap& x, const Packed& packed,
                                    const ProductFinish& finish, const FeatureMap& out) {
  const int64_t cols = packed.linear->in(), size = static_cast<int64_t>(SizeOf(compute_type_));
  const int64_t pixels = out.pixels.rows;
  const int64_t most = std::clamp<int64_t>(kUnrolledBytes / (cols * size), 1, pixels);
  CLIPTAG_RETURN_IF_ERROR(GrowHost(&unrolled_, most * cols * size));
  for (int64_t first = 0; first < pixels; first += most) {
    const int64_t count = std::min(most, pixels - first);
    const Matrix rows{unrolled_->data(), compute_type_, count, cols, cols};
    Unroll(x, packed, out, first, rows);
    ProductFinish part = finish;
    Matrix residual;
    if (finish.residual != nullptr) {
      residual = finish.residual->Rows(first, count);
      part.residual = &residual;
    }
    CLIPTAG_RETURN_IF_ERROR(gemm_->Run(rows, *packed.linear, part, out.pixels.Rows(first, count)));
  }
  return {};
}

void CpuConvolutions::Unroll(const FeatureMap& x, const Packed& packed, const FeatureMap& out,
                             int64_t first, const Matrix& rows) {
  const int edge = packed.kernel();
  const int64_t pixel_bytes = x.pixels.cols * static_cast<int64_t>(SizeOf(compute_type_));
  const auto unroll_one = [&](int64_t pixel, char* to) {
    const int64_t column = pixel % out.width, row = pixel / out.width;
    const int64_t left = column * packed.stride() - packed.padding();
    const int64_t top = row % out.height * packed.stride() - packed.padding();
    for (int64_t y = top; y < top + edge; ++y) {
      for (int64_t at = left; at < left + edge; ++at, to += pixel_bytes) {
        if (y < 0 || y >= x.height || at < 0 || at >= x.width) {
          std::memset(to, 0, pixel_bytes);
          continue;
        }
        const int64_t source = (row / out.height * x.height + y) * x.width + at;
        std::memcpy(to, x.pixels.Rows(source, 1).data, pixel_bytes);
      }
    }
  };
  pool_->RunEachRow(rows.rows, rows.cols, [&](int64_t r) {
    unroll_one(first + r, static_cast<char*>(rows.Rows(r, 1).data));
  });
}

void CpuConvolutions::AveragePool(const FeatureMap& x, int window, const FeatureMap& out) {
  const int64_t rows = int64_t{out.batch} * out.height;
  const int64_t channels = x.pixels.cols;
  pool_->RunEachRow(rows, x.width * window * channels, [&](int64_t row) {
    const int64_t top = row / out.height * x.height + row % out.height * window;
    for (int column = 0; column < out.width; ++column) {
      kernels_.average_pixels(x.pixels.Rows(top * x.width + int64_t{column} * window, 1).data,
                              compute_type_ == DType::kBF16, channels, x.width * channels, window,
                              out.pixels.Rows(row * out.width + column, 1).data);
    }
  });
}

}  // namespace cliptag
