#include "kernels/cpu/convolution/panel_convolution.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/divide_up.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

constexpr int64_t kFewestPixels = 32;  // of the output in a task
// A kernel reads a window's row in steps of up to a cache line, so it may read past the last one.
constexpr int64_t kSlackBytes = 64;

}  // namespace

// A call of Run, and how it is divided. Rows are counted over all pictures of the batch.
struct PanelConvolution::Job {
  const FeatureMap& x;
  const Convolution& convolution;
  const PanelWeight& weight;
  const ProductFinish& finish;
  const FeatureMap& out;

  int64_t pixel_bytes = 0, row_bytes = 0;  // of a band
  int64_t band_rows = 1;                   // of the output, at most
  int64_t panels_per_task = 1, row_tasks = 1;

  int64_t rows() const { return int64_t{out.batch} * out.height; }
  // Rows of the band that `count` rows of the output depend on.
  int64_t InputRows(int64_t count) const {
    return (count - 1) * convolution.stride() + convolution.kernel();
  }
};

PanelConvolution::PanelConvolution(const PanelKernel& kernel, DType compute_type,
                                   const SimdKernels& kernels, ThreadPool* pool)
    : kernel_(kernel),
      compute_type_(compute_type),
      kernels_(kernels),
      pool_(pool),
      bands_(pool->size()) {}

// Bytes of one row of a window, with the kernel's padding.
int64_t PanelConvolution::PieceBytes(int kernel, int channels) const {
  return kernel_.PaddedDepth(int64_t{kernel} * channels) *
         static_cast<int64_t>(kernel_.element_bytes());
}

Result<std::unique_ptr<PackedWeight>> PanelConvolution::Pack(const ConvolutionSpec& spec) const {
  const HostTensor& from = spec.weight;
  const int64_t out = from.shape[0], in = from.shape[1], edge = from.shape[2];
  const int64_t piece = kernel_.PaddedDepth(edge * in);
  CLIPTAG_ASSIGN_OR_RETURN(const auto memory, AllocateHost(out * edge * piece * sizeof(float)));
  float* row = static_cast<float*>(memory->data());
  std::fill_n(row, out * edge * piece, 0.0f);
  const std::vector<float> values = ChannelsLast(from);
  for (int64_t r = 0; r < out * edge; ++r, row += piece) {
    std::copy_n(values.data() + r * edge * in, edge * in, row);
  }
  LinearSpec rows{{{memory->data(), DType::kF32, {out, edge * piece}}}, {}};
  if (spec.bias.data != nullptr) rows.biases = {spec.bias};
  auto weight = std::make_unique<PanelWeight>();
  CLIPTAG_RETURN_IF_ERROR(
      weight->Pack(rows, {out, edge * piece}, kernel_, compute_type_, kernels_, pool_));
  return std::unique_ptr<PackedWeight>(std::move(weight));
}

Status PanelConvolution::Plan(Job* job) {
  const int64_t count = job->weight.count;
  const int64_t channels = job->x.pixels.cols, padding = job->convolution.padding();
  job->pixel_bytes = channels * static_cast<int64_t>(kernel_.element_bytes());
  job->row_bytes = (job->x.width + 2 * padding) * job->pixel_bytes;

  const int64_t tasks = PanelTasks(pool_->size());
  job->panels_per_task = count;
  if (count * static_cast<int64_t>(job->weight.panel_bytes) > kPanelTaskBytes) {
    job->panels_per_task = job->weight.PanelsPerTask(tasks);
  }
  const int64_t column_tasks = DivideUp(count, job->panels_per_task);
  const int64_t most = std::min(job->rows(), job->rows() * job->out.width / kFewestPixels);
  job->row_tasks =
      std::clamp<int64_t>(DivideUp(tasks, column_tasks), 1, std::max<int64_t>(1, most));

  const int64_t fit = kPanelTaskBytes / job->row_bytes - job->convolution.kernel();
  const int64_t longest = std::min<int64_t>(DivideUp(job->rows(), job->row_tasks), job->out.height);
  job->band_rows = std::clamp<int64_t>(fit / job->convolution.stride() + 1, 1, longest);
  const size_t bytes = job->InputRows(job->band_rows) * job->row_bytes + kSlackBytes;
  for (auto& band : bands_) CLIPTAG_RETURN_IF_ERROR(GrowHost(&band, bytes));
  return {};
}

Status PanelConvolution::Run(const FeatureMap& x, const Convolution& convolution,
                             const PackedWeight& weight, const ProductFinish& finish,
                             const FeatureMap& out) {
  Job job{x, convolution, static_cast<const PanelWeight&>(weight), finish, out};
  CLIPTAG_RETURN_IF_ERROR(Plan(&job));
  const int64_t column_tasks = DivideUp(job.weight.count, job.panels_per_task);
  pool_->Run(static_cast<int>(column_tasks * job.row_tasks),
             [&](int task, int worker) { RunTask(job, task, worker); });
  return {};
}

void PanelConvolution::RunTask(const Job& job, int task, int worker) {
  const int64_t first_panel = task / job.row_tasks * job.panels_per_task;
  const int64_t end_panel = std::min(first_panel + job.panels_per_task, job.weight.count);
  const int64_t part = task % job.row_tasks;
  const int64_t end = job.rows() * (part + 1) / job.row_tasks;
  char* band = static_cast<char*>(bands_[worker]->data());
  for (int64_t row = job.rows() * part / job.row_tasks; row < end;) {
    // A band ends with its picture.
    const int64_t in_picture = job.out.height - row % job.out.height;
    const int64_t count = std::min({job.band_rows, end - row, in_picture});
    CopyBand(job, row, count, band);
    MultiplyBand(job, row, count, first_panel, end_panel, band);
    row += count;
  }
}

// Copies the input of `count` output rows from `first` on, with zeros outside the picture.
void PanelConvolution::CopyBand(const Job& job, int64_t first, int64_t count, char* to) const {
  const FeatureMap& x = job.x;
  const int64_t padding = job.convolution.padding();
  const int64_t picture = first / job.out.height;
  const int64_t top = first % job.out.height * job.convolution.stride() - padding;
  const int64_t edge_bytes = padding * job.pixel_bytes;
  const int64_t inner_bytes = job.row_bytes - 2 * edge_bytes;
  for (int64_t y = top; y < top + job.InputRows(count); ++y, to += job.row_bytes) {
    if (y < 0 || y >= x.height) {
      std::memset(to, 0, job.row_bytes);
      continue;
    }
    const void* from = x.pixels.Rows((picture * x.height + y) * x.width, 1).data;
    std::memset(to, 0, edge_bytes);
    if (SizeOf(compute_type_) == kernel_.element_bytes()) {
      std::memcpy(to + edge_bytes, from, inner_bytes);
    } else {
      kernels_.from_bf16(static_cast<const uint16_t*>(from), x.width * x.pixels.cols,
                         reinterpret_cast<float*>(to + edge_bytes));
    }
    std::memset(to + edge_bytes + inner_bytes, 0, edge_bytes);
  }
  std::memset(to, 0, kSlackBytes);  // multiplied by zeros, but must not be NaN
}

void PanelConvolution::MultiplyBand(const Job& job, int64_t first, int64_t count,
                                    int64_t first_panel, int64_t end_panel,
                                    const char* band) const {
  const int stride = job.convolution.stride(), edge = job.convolution.kernel();
  PanelTask task;
  task.x_stride = stride * job.pixel_bytes;
  task.rows = job.out.width;
  task.depth = job.weight.depth;
  task.pieces = edge;
  task.piece_gap = job.row_bytes - PieceBytes(edge, static_cast<int>(job.x.pixels.cols));
  task.epilogue = kernels_.epilogue;
  for (int64_t panel = first_panel; panel < end_panel; ++panel) {
    task.panel = job.weight.panel(panel);
    task.next = job.weight.panel(panel + 1 < end_panel ? panel + 1 : first_panel);
    task.finish.cols = job.weight.columns(panel);
    task.finish.bias = job.weight.bias_of(panel);
    for (int64_t row = 0; row < count; ++row) {
      task.x = band + row * stride * job.row_bytes;
      SetFinish(job.finish, job.out.pixels, (first + row) * job.out.width, panel * kPanelColumns,
                &task.finish);
      kernel_.multiply(task);
    }
  }
}

}  // namespace cliptag
