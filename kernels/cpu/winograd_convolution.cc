#include "kernels/cpu/winograd_convolution.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/base/divide_up.h"
#include "kernels/base/row_stride.h"
#include "kernels/cpu/panel_weight.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

int64_t Knob(const char* name, int64_t otherwise) {
  const char* v = std::getenv(name);
  return v ? std::atoll(v) : otherwise;
}
const int64_t kLargeTileBytes = Knob("W_LARGE", 4 << 20);
const int64_t kOwnBytes = Knob("W_OWN", 3 << 20);
const int64_t kProductBytes = Knob("W_PROD", 256 << 10);
const int64_t kRowBytesMost = Knob("W_ROWS", 384 << 10);
const int64_t kFewestTiles = Knob("W_FEWEST", 28);
const int64_t kMostTiles = Knob("W_MOST", 56);
const int64_t kMinIn = Knob("W_MININ", 16);
const int64_t kMinArea = Knob("W_MINOUT", 16);

// Planes of a multiple of the first-level cache's way apart would share a few of its sets.
int64_t PlaneBytes(int64_t bytes) { return DivideUp(bytes, 4096) * 4096 + 320; }

// The weights (3, 3) of a pair of channels as (edge, edge).
template <typename Value>
void TransformWeight(const Value* weight, int edge, double* to) {
  static constexpr double k2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  static constexpr double k4[6][3] = {{1.0 / 4, 0, 0},
                                      {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                      {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                      {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                      {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                      {0, 0, 1}};
  const double(*g)[3] = edge == 4 ? k2 : k4;
  for (int y = 0; y < edge; ++y) {
    for (int x = 0; x < edge; ++x) {
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) sum += g[y][i] * g[x][j] * weight[i * 3 + j];
      }
      to[y * edge + x] = sum;
    }
  }
}

}  // namespace

// Panels of the product of place p are p * count + 0, 1, …
class WinogradConvolution::Weight : public PackedWeight {
 public:
  explicit Weight(const WinogradTransforms& of) : transforms(of) {}
  size_t bytes() const override { return panels.bytes() + bias.size() * sizeof(float); }

  const WinogradTransforms& transforms;
  PanelWeight panels;
  int64_t count = 0;        // of panels of a product
  std::vector<float> bias;  // of every output of every panel, or empty
};

// Where the rows of the products of some tiles lie.
struct WinogradConvolution::Rows {
  char* data = nullptr;
  int64_t stride = 0, plane = 0;  // bytes to the next tile, and to the next product
};

// One call of Run, and how it is divided. Tiles are those of all pictures of the batch.
struct WinogradConvolution::Job {
  const FeatureMap& x;
  const Convolution& convolution;
  const Weight& weight;
  const ProductFinish& finish;
  const FeatureMap& out;

  int64_t across = 0, down = 0;  // tiles of a picture
  int64_t tiles = 0;
  int64_t block = 1;   // tiles multiplied at once, at most
  int64_t blocks = 1;  // that tiles are divided into
  int64_t group = 1;   // panels multiplied before their products become pixels, at most
  int64_t shares = 1;  // that panels are divided into; 0: tasks transform their own tiles
  int64_t product_plane = 0;

  int tile() const { return weight.transforms.tile; }
  int edge() const { return weight.transforms.edge(); }
  int area() const { return weight.transforms.area(); }
};

std::unique_ptr<WinogradConvolution> WinogradConvolution::Create(CpuLevel level,
                                                                 const PanelKernel& kernel,
                                                                 DType compute_type,
                                                                 const SimdKernels& kernels,
                                                                 ThreadPool* pool) {
  const WinogradTransforms* small = WinogradTransformsFor(level, compute_type, kernel.type, 2);
  if (small == nullptr) return nullptr;
  std::unique_ptr<WinogradConvolution> winograd(
      new WinogradConvolution(kernel, compute_type, kernels, pool));
  winograd->small_ = small;
  winograd->large_ = WinogradTransformsFor(level, compute_type, kernel.type, 4);
  return winograd;
}

bool WinogradConvolution::Takes(const ConvolutionSpec& spec) const {
  const std::vector<int64_t>& shape = spec.weight.shape;
  return shape[2] == 3 && spec.stride == 1 && shape[0] % 16 == 0 && shape[1] % 16 == 0 &&
         shape[1] >= kMinIn && shape[0] >= kMinArea;
}

const WinogradTransforms& WinogradConvolution::TransformsFor(int64_t in, int64_t out) const {
  const bool fit = in * out * kWinogradLargestArea * 4 <= kLargeTileBytes;
  return large_ != nullptr && fit ? *large_ : *small_;
}

Result<std::unique_ptr<PackedWeight>> WinogradConvolution::Pack(const ConvolutionSpec& spec) const {
  const int64_t out = spec.weight.shape[0], in = spec.weight.shape[1];
  auto weight = std::make_unique<Weight>(TransformsFor(in, out));
  weight->count = DivideUp(out, kPanelColumns);
  const int64_t area = weight->transforms.area(), padded = weight->count * kPanelColumns;
  CLIPTAG_ASSIGN_OR_RETURN(const auto memory, AllocateHost(area * padded * in * sizeof(float)));
  float* rows = static_cast<float*>(memory->data());
  std::fill_n(rows, area * padded * in, 0.0f);
  pool_->RunRows(out, in * area, [&](int64_t first, int64_t count, int) {
    double window[9], transformed[kWinogradLargestArea];
    for (int64_t pair = first * in; pair < (first + count) * in; ++pair) {
      for (int at = 0; at < 9; ++at) {
        window[at] = LoadAsFloat(spec.weight.data, spec.weight.type, pair * 9 + at);
      }
      TransformWeight(window, weight->transforms.edge(), transformed);
      for (int64_t place = 0; place < area; ++place) {
        rows[place * padded * in + pair] = static_cast<float>(transformed[place]);
      }
    }
  });
  // Where products are of floats they are not rounded any further, whatever maps are of.
  const LinearSpec linear{{{rows, DType::kF32, {area * padded, in}}}, {}};
  CLIPTAG_RETURN_IF_ERROR(
      weight->panels.Pack(linear, {area * padded, in}, kernel_, DType::kF32, kernels_, pool_));
  if (spec.bias.data != nullptr) {
    weight->bias.assign(static_cast<size_t>(padded), 0.0f);
    for (int64_t o = 0; o < out; ++o) {
      weight->bias[o] = LoadAsFloat(spec.bias.data, spec.bias.type, o);
    }
  }
  return std::unique_ptr<PackedWeight>(std::move(weight));
}

Status WinogradConvolution::Plan(Job* job) {
  const Weight& weight = job->weight;
  const int64_t area = job->area(), threads = pool_->size();
  job->across = DivideUp(job->out.width, job->tile());
  job->down = DivideUp(job->out.height, job->tile());
  job->tiles = job->out.batch * job->across * job->down;
  const int64_t row =
      SpreadStride(weight.panels.depth * static_cast<int64_t>(kernel_.element_bytes()));
  const bool few = job->tiles < 2 * threads * kFewestTiles;
  const bool own =
      threads == 1 ? true : !few && static_cast<int64_t>(weight.panels.bytes()) <= kOwnBytes;
  const int64_t most =
      own ? std::clamp<int64_t>(kRowBytesMost / (area * row), kFewestTiles, kMostTiles)
          : kMostTiles;
  job->blocks = DivideUp(job->tiles, most);
  if (own && threads > 1) job->blocks = DivideUp(job->blocks, 2 * threads) * 2 * threads;
  job->block = DivideUp(job->tiles, job->blocks);
  job->shares = 0;
  if (!own) {
    job->shares = std::clamp<int64_t>(DivideUp(PanelTasks(threads), job->blocks), 1, weight.count);
    job->shares = std::max<int64_t>(
        job->shares,
        std::min<int64_t>(weight.count, DivideUp(static_cast<int64_t>(weight.panels.bytes()),
                                                 Knob("W_SHARE", 1 << 20))));
  }
  const int64_t panels = DivideUp(weight.count, std::max<int64_t>(1, job->shares));
  const int64_t panel_products = job->block * kPanelColumns * static_cast<int64_t>(sizeof(float));
  job->group = std::clamp<int64_t>(kProductBytes / (panel_products * area), 1, panels);
  job->product_plane = PlaneBytes(job->group * panel_products);

  const int64_t pixel = job->x.pixels.cols * static_cast<int64_t>(SizeOf(compute_type_));
  const size_t zeros = zeros_ ? zeros_->bytes() : 0;
  CLIPTAG_RETURN_IF_ERROR(GrowHost(&zeros_, pixel));
  if (zeros_->bytes() != zeros) std::memset(zeros_->data(), 0, zeros_->bytes());
  for (Scratch& scratch : scratch_) {
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.products, area * job->product_plane));
    if (own) CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.rows, area * PlaneBytes(job->block * row)));
  }
  return own ? Status() : GrowHost(&rows_, area * PlaneBytes(job->tiles * row));
}

Status WinogradConvolution::Run(const FeatureMap& x, const Convolution& convolution,
                                const PackedWeight& packed, const ProductFinish& finish,
                                const FeatureMap& out) {
  const auto& weight = static_cast<const Weight&>(packed);
  Job job{x, convolution, weight, finish, out};
  CLIPTAG_RETURN_IF_ERROR(Plan(&job));
  const int64_t row =
      SpreadStride(weight.panels.depth * static_cast<int64_t>(kernel_.element_bytes()));
  const auto first_tile = [&](int64_t block) { return job.tiles * block / job.blocks; };
  if (job.shares == 0) {
    pool_->Run(static_cast<int>(job.blocks), [&](int block, int worker) {
      Scratch& scratch = scratch_[worker];
      const int64_t first = first_tile(block), count = first_tile(block + 1) - first;
      const Rows rows{static_cast<char*>(scratch.rows->data()), row, PlaneBytes(job.block * row)};
      TransformTiles(job, first, count, rows);
      MultiplyTiles(job, first, count, rows, 0, weight.count,
                    static_cast<float*>(scratch.products->data()));
    });
    return {};
  }
  const Rows all{static_cast<char*>(rows_->data()), row, PlaneBytes(job.tiles * row)};
  const auto rows_from = [&](int64_t tile) {
    return Rows{all.data + tile * row, all.stride, all.plane};
  };
  pool_->RunRows(job.tiles, weight.panels.depth * job.area(),
                 [&](int64_t first, int64_t count, int) {
                   TransformTiles(job, first, count, rows_from(first));
                 });
  pool_->Run(static_cast<int>(job.shares * job.blocks), [&](int task, int worker) {
    const int64_t share = task / job.blocks, block = task % job.blocks;
    const int64_t first = first_tile(block);
    MultiplyTiles(job, first, first_tile(block + 1) - first, rows_from(first),
                  weight.count * share / job.shares, weight.count * (share + 1) / job.shares,
                  static_cast<float*>(scratch_[worker].products->data()));
  });
  return {};
}

void WinogradConvolution::TransformTiles(const Job& job, int64_t first, int64_t count,
                                         const Rows& to) const {
  const FeatureMap& x = job.x;
  const int edge = job.edge(), padding = job.convolution.padding();
  const int64_t pixel = x.pixels.cols * static_cast<int64_t>(SizeOf(compute_type_));
  const void* pixels[kWinogradLargestArea];
  WinogradInput task;
  task.pixels = pixels;
  task.channels = x.pixels.cols;
  task.plane = to.plane;
  for (int64_t t = first; t < first + count; ++t) {
    const int64_t line = t / job.across, picture = line / job.down;
    const int64_t top = line % job.down * job.tile() - padding;
    const int64_t left = t % job.across * job.tile() - padding;
    const void** at = pixels;
    for (int64_t y = top; y < top + edge; ++y) {
      const bool inside = y >= 0 && y < x.height;
      const char* row = static_cast<const char*>(x.pixels.data) +
                        ((picture * x.height + y) * x.width + left) * pixel;
      for (int64_t i = 0; i < edge; ++i, row += pixel) {
        *at++ = inside && left + i >= 0 && left + i < x.width ? row : zeros_->data();
      }
    }
    task.to = to.data + (t - first) * to.stride;
    job.weight.transforms.input(task);
  }
}

void WinogradConvolution::MultiplyTiles(const Job& job, int64_t first, int64_t count,
                                        const Rows& rows, int64_t first_panel, int64_t end_panel,
                                        float* products) const {
  const Weight& weight = job.weight;
  PanelTask task;
  task.x_stride = rows.stride;
  task.rows = count;
  task.depth = weight.panels.depth;
  for (int64_t panel = first_panel; panel < end_panel; panel += job.group) {
    const int64_t panels = std::min(job.group, end_panel - panel);
    char* to = reinterpret_cast<char*>(products);
    for (int64_t place = 0; place < job.area(); ++place, to += job.product_plane) {
      task.x = rows.data + place * rows.plane;
      for (int64_t i = 0; i < panels; ++i) {
        const int64_t index = place * weight.count + panel + i;
        int64_t next = index + 1;
        if (i + 1 == panels) next = index + 1 - panels + weight.count;  // at the next place
        if (next >= weight.panels.count) next = panel + panels < weight.count ? panel + panels : 0;
        task.panel = weight.panels.panel(index);
        task.next = weight.panels.panel(next);
        task.finish.out = to + i * count * kPanelColumns * sizeof(float);
        kernel_.multiply(task);
      }
    }
    FinishTiles(job, first, count, panel, panels, products);
  }
}

void WinogradConvolution::FinishTiles(const Job& job, int64_t first, int64_t count,
                                      int64_t first_panel, int64_t panels,
                                      const float* products) const {
  const FeatureMap& out = job.out;
  const int tile = job.tile();
  const auto size = static_cast<int64_t>(SizeOf(compute_type_));
  const Matrix* residual = job.finish.residual;
  void* pixels[kWinogradLargestTile * kWinogradLargestTile];
  const void* added[kWinogradLargestTile * kWinogradLargestTile];
  WinogradOutput task;
  task.plane = job.product_plane;
  task.relu = job.finish.relu;
  task.residual = residual != nullptr ? added : nullptr;
  task.pixels = pixels;
  for (int64_t panel = first_panel; panel < first_panel + panels; ++panel) {
    const int64_t column = panel * kPanelColumns;
    task.channels = std::min<int64_t>(kPanelColumns, out.pixels.cols - column);
    task.bias = job.weight.bias.empty() ? nullptr : job.weight.bias.data() + column;
    task.products = products + (panel - first_panel) * count * kPanelColumns;
    for (int64_t t = first; t < first + count; ++t, task.products += kPanelColumns) {
      const int64_t line = t / job.across, picture = line / job.down;
      const int64_t top = line % job.down * tile, left = t % job.across * tile;
      for (int i = 0; i < tile * tile; ++i) {
        const int64_t y = top + i / tile, x = left + i % tile;
        pixels[i] = nullptr;
        if (y >= out.height || x >= out.width) continue;
        const int64_t row = (picture * out.height + y) * out.width + x;
        pixels[i] = static_cast<char*>(out.pixels.data) + (row * out.pixels.stride + column) * size;
        if (residual != nullptr) {
          added[i] =
              static_cast<const char*>(residual->data) + (row * residual->stride + column) * size;
        }
      }
      job.weight.transforms.output(task);
    }
  }
}

}  // namespace cliptag
