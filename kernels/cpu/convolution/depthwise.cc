#include "kernels/cpu/convolution/depthwise.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/base/concat.h"
#include "kernels/base/divide_up.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

constexpr int64_t kLargestKernel = 31;
constexpr int64_t kFewestRows = 8;  // output rows of a task, which first loads a whole window
constexpr int64_t kTasksPerThread = 4;

}  // namespace

// Values (blocks of channels, kernel * kernel, kDepthwiseChannels), and biases of as many channels.
class DepthwiseConvolution::Weight : public PackedWeight {
 public:
  size_t bytes() const override { return (values.size() + biases.size()) * sizeof(float); }

  std::vector<float> values, biases;
};

// A call of Run, and how it is divided.
struct DepthwiseConvolution::Job {
  const FeatureMap& x;
  const Convolution& convolution;
  const Weight& weight;
  const ProductFinish& finish;
  const FeatureMap& out;
  int64_t blocks = 0, parts = 1;  // number of blocks of channels, and of parts of a picture's rows

  int64_t row_floats() const { return (x.width + 2 * convolution.padding()) * kDepthwiseChannels; }
  int64_t tasks() const { return out.batch * parts * blocks; }
  // A ring of rows, a row of zeros, a row of the output.
  int64_t scratch_floats() const {
    return (convolution.kernel() + 1) * row_floats() + int64_t{out.width} * kDepthwiseChannels;
  }
};

DepthwiseConvolution::DepthwiseConvolution(DType compute_type, const SimdKernels& kernels,
                                           ThreadPool* pool)
    : compute_type_(compute_type), kernels_(kernels), pool_(pool), scratch_(pool->size()) {}

Result<std::unique_ptr<PackedWeight>> DepthwiseConvolution::Pack(
    const ConvolutionSpec& spec) const {
  if (spec.weight.shape[2] > kLargestKernel) {
    return Unsupported(Concat("A depthwise convolution's window of ", spec.weight.shape[2],
                              " pixels is larger than the ", kLargestKernel,
                              " that are supported."));
  }
  const int64_t out = spec.weight.shape[0], area = spec.weight.shape[2] * spec.weight.shape[3];
  const int64_t padded = DivideUp(out, kDepthwiseChannels) * kDepthwiseChannels;
  auto weight = std::make_unique<Weight>();
  weight->values.assign(static_cast<size_t>(padded * area), 0.0f);
  weight->biases = ToFloats(spec.bias);
  weight->biases.resize(static_cast<size_t>(padded), 0.0f);
  for (int64_t o = 0; o < out; ++o) {
    float* block = weight->values.data() + o / kDepthwiseChannels * area * kDepthwiseChannels;
    for (int64_t at = 0; at < area; ++at) {
      block[at * kDepthwiseChannels + o % kDepthwiseChannels] =
          LoadAsFloat(spec.weight.data, spec.weight.type, o * area + at);
    }
  }
  return std::unique_ptr<PackedWeight>(std::move(weight));
}

Status DepthwiseConvolution::Run(const FeatureMap& x, const Convolution& convolution,
                                 const PackedWeight& weight, const ProductFinish& finish,
                                 const FeatureMap& out) {
  Job job{x, convolution, static_cast<const Weight&>(weight), finish, out};
  job.blocks = DivideUp(convolution.out_channels(), kDepthwiseChannels);
  const int64_t most = std::max<int64_t>(1, out.height / kFewestRows);
  job.parts = std::clamp<int64_t>(DivideUp(kTasksPerThread * pool_->size(), out.batch * job.blocks),
                                  1, most);
  for (auto& scratch : scratch_) {
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch, job.scratch_floats() * sizeof(float)));
  }
  pool_->Run(static_cast<int>(job.tasks()), [&](int task, int worker) {
    RunTask(job, task, static_cast<float*>(scratch_[worker]->data()));
  });
  return {};
}

void DepthwiseConvolution::LoadRow(const Job& job, int64_t picture, int64_t row, int64_t block,
                                   float* to) const {
  const FeatureMap& x = job.x;
  const int repeat = job.convolution.out_channels() / job.convolution.in_channels();
  const int64_t first = block * kDepthwiseChannels, around = job.convolution.padding();
  const int64_t last =
      std::min<int64_t>(first + kDepthwiseChannels, job.convolution.out_channels());
  const Matrix from = x.pixels.Rows((picture * x.height + row) * x.width, x.width);
  float* inner = to + around * kDepthwiseChannels;
  std::fill(to, inner, 0.0f);
  kernels_.widen_pixels(from.Cols(first / repeat, 1).data, compute_type_ == DType::kBF16,
                        from.stride, x.width, static_cast<int>(last - first),
                        static_cast<int>(first % repeat), repeat, inner);
  float* end = inner + x.width * kDepthwiseChannels;
  std::fill(end, end + around * kDepthwiseChannels, 0.0f);
}

void DepthwiseConvolution::RunTask(const Job& job, int64_t task, float* scratch) const {
  const Convolution& c = job.convolution;
  const FeatureMap &x = job.x, &out = job.out;
  const int64_t block = task % job.blocks, part = task / job.blocks % job.parts;
  const int64_t picture = task / job.blocks / job.parts, kernel = c.kernel();
  const int64_t channel = block * kDepthwiseChannels, row_floats = job.row_floats();
  float* const zeros = scratch + kernel * row_floats;
  float* const sums = zeros + row_floats;
  std::fill_n(zeros, row_floats, 0.0f);

  std::array<const float*, kLargestKernel> rows;
  DepthwiseTask work;
  work.rows = rows.data();
  work.weight = job.weight.values.data() + block * kernel * kernel * kDepthwiseChannels;
  work.kernel = c.kernel();
  work.stride = c.stride();
  work.count = out.width;
  work.out = sums;
  EpilogueTask finish;
  finish.block = sums;
  finish.block_stride = kDepthwiseChannels;
  finish.rows = out.width;
  finish.cols = std::min<int64_t>(kDepthwiseChannels, c.out_channels() - channel);
  finish.bias = job.weight.biases.data() + channel;

  const int64_t first = out.height * part / job.parts, end = out.height * (part + 1) / job.parts;
  int64_t next = first * c.stride() - c.padding();  // row of the picture to be loaded
  for (int64_t y = first; y < end; ++y) {
    const int64_t top = y * c.stride() - c.padding();
    for (next = std::max(next, top); next < top + kernel; ++next) {
      if (next < 0 || next >= x.height) continue;
      LoadRow(job, picture, next, block, scratch + next % kernel * row_floats);
    }
    for (int64_t i = 0; i < kernel; ++i) {
      const int64_t row = top + i;
      rows[i] = row < 0 || row >= x.height ? zeros : scratch + row % kernel * row_floats;
    }
    kernels_.depthwise_row(work);
    SetFinish(job.finish, out.pixels, (picture * out.height + y) * out.width, channel, &finish);
    kernels_.epilogue(finish);
  }
}

}  // namespace cliptag
