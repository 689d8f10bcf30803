#include "kernels/cpu/convolution/winograd_convolution.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/divide_up.h"
#include "kernels/base/row_stride.h"
#include "kernels/cpu/products/panel/weight.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// Tile 4 is used if its weights, in f32, take no more than this: 256 x 256 channels.
constexpr int64_t kMostLargeTileBytes = 10 << 20;
// Tasks transform their own tiles if the weights, which each of them reads, take no more than this.
constexpr int64_t kMostOwnBytes = 3 << 20;
// Otherwise rows that are transformed before any is multiplied: they stay in the outer cache.
constexpr int64_t kMostSharedBytes = 8 << 20;
// Weights of a share of panels, used for all blocks of tiles: about an L2 cache.
constexpr int64_t kShareBytes = 1 << 20;
// Of a block of tiles; both fit the L2 cache.
constexpr int64_t kBlockRowBytes = 384 << 10, kBlockProductBytes = 256 << 10;
// Tiles of a block: fewer are not worth reading the weights for, more gained nothing.
constexpr int64_t kFewestTiles = 28, kMostTiles = 56;

// A distance of a multiple of 4096 would put all planes into a few sets of the L1 cache.
int64_t PlaneBytes(int64_t bytes) { return DivideUp(bytes, 4096) * 4096 + 320; }

// Transforms the weights (3, 3) of a pair of channels to (edge, edge).
void TransformWeight(const double* weight, int edge, double* to) {
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

// The panels of product p are p * count + 0, 1, …
class WinogradConvolution::Weight : public PackedWeight {
 public:
  explicit Weight(const WinogradTransforms& of) : transforms(of) {}
  size_t bytes() const override { return panels.bytes() + bias.size() * sizeof(float); }

  const WinogradTransforms& transforms;
  PanelWeight panels;
  int64_t count = 0;        // panels of a product
  std::vector<float> bias;  // padded to whole panels, or empty
};

// A call of Run, and how it is divided. Tiles are counted over all pictures of the batch.
struct WinogradConvolution::Job {
  const FeatureMap& x;
  const Convolution& convolution;
  const Weight& weight;
  const ProductFinish& finish;
  const FeatureMap& out;

  int64_t across = 0, down = 0;  // tiles of a picture
  int64_t tiles = 0;
  bool own = false;    // tasks transform the tiles that they multiply
  int64_t chunk = 1;   // tiles that are transformed together
  int64_t blocks = 1;  // number of blocks of tiles in a chunk
  int64_t shares = 1;  // number of shares of the panels
  int64_t group = 1;   // panels multiplied before the output transform, at most
  // Bytes to the next tile's row; to the same row of the next product; to the next product's sums.
  int64_t row = 0, row_plane = 0, product_plane = 0;

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
         spec.activation == Activation::kNone;  // the output transform has only ReLU
}

const WinogradTransforms& WinogradConvolution::TransformsFor(int64_t in, int64_t out) const {
  const int64_t bytes = in * out * kWinogradLargestArea * static_cast<int64_t>(sizeof(float));
  return large_ != nullptr && bytes <= kMostLargeTileBytes ? *large_ : *small_;
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
  // kF32: with a kF32 kernel the transformed weights are not rounded to bf16, even if maps are
  // bf16.
  const LinearSpec linear{{{rows, DType::kF32, {area * padded, in}}}, {}};
  CLIPTAG_RETURN_IF_ERROR(
      weight->panels.Pack(linear, {area * padded, in}, kernel_, DType::kF32, kernels_, pool_));
  weight->bias = ToFloats(spec.bias);
  if (!weight->bias.empty()) weight->bias.resize(static_cast<size_t>(padded), 0.0f);
  return std::unique_ptr<PackedWeight>(std::move(weight));
}

Status WinogradConvolution::Plan(Job* job) {
  const Weight& weight = job->weight;
  const int64_t area = job->area(), threads = pool_->size();
  job->across = DivideUp(job->out.width, job->tile());
  job->down = DivideUp(job->out.height, job->tile());
  job->tiles = job->out.batch * job->across * job->down;
  job->row = SpreadStride(weight.panels.depth * static_cast<int64_t>(kernel_.element_bytes()));
  const int64_t bytes = weight.panels.count * static_cast<int64_t>(weight.panels.panel_bytes);
  const bool few = job->tiles < 2 * threads * kFewestTiles;
  job->own = threads == 1 || (!few && bytes <= kMostOwnBytes);
  if (job->own) {
    job->chunk = job->tiles;
    const int64_t fit = kBlockRowBytes / (area * job->row);
    job->blocks = DivideUp(job->tiles, std::clamp(fit, kFewestTiles, kMostTiles));
    if (threads > 1) job->blocks = DivideUp(job->blocks, 2 * threads) * 2 * threads;
  } else {
    const int64_t fit = std::max(kMostSharedBytes / (area * job->row), kMostTiles);
    job->chunk = DivideUp(job->tiles, DivideUp(job->tiles, fit));
    job->blocks = DivideUp(job->chunk, kMostTiles);
    const int64_t wanted =
        std::max(DivideUp(PanelTasks(threads), job->blocks), DivideUp(bytes, kShareBytes));
    job->shares = std::min(wanted, weight.count);
  }
  const int64_t block = DivideUp(job->chunk, job->blocks);
  const int64_t panels = DivideUp(weight.count, job->shares);
  const int64_t panel_products = block * kPanelColumns * static_cast<int64_t>(sizeof(float));
  job->group = std::clamp<int64_t>(kBlockProductBytes / (panel_products * area), 1, panels);
  job->product_plane = PlaneBytes(job->group * panel_products);
  job->row_plane = PlaneBytes((job->own ? block : job->chunk) * job->row);
  return Grow(*job);
}

Status WinogradConvolution::Grow(const Job& job) {
  const int64_t pixel = job.x.pixels.cols * static_cast<int64_t>(SizeOf(compute_type_));
  if (!zeros_ || static_cast<int64_t>(zeros_->bytes()) < pixel) {
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&zeros_, pixel));
    std::memset(zeros_->data(), 0, zeros_->bytes());
  }
  const int64_t rows = job.area() * job.row_plane;
  for (Scratch& scratch : scratch_) {
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.products, job.area() * job.product_plane));
    if (job.own) CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.rows, rows));
  }
  return job.own ? Status() : GrowHost(&rows_, rows);
}

Status WinogradConvolution::Run(const FeatureMap& x, const Convolution& convolution,
                                const PackedWeight& weight, const ProductFinish& finish,
                                const FeatureMap& out) {
  Job job{x, convolution, static_cast<const Weight&>(weight), finish, out};
  CLIPTAG_RETURN_IF_ERROR(Plan(&job));
  if (job.own) {
    RunOwn(job);
  } else {
    RunShared(job);
  }
  return {};
}

void WinogradConvolution::RunOwn(const Job& job) {
  pool_->Run(static_cast<int>(job.blocks), [&](int block, int worker) {
    const int64_t first = job.tiles * block / job.blocks;
    const int64_t count = job.tiles * (block + 1) / job.blocks - first;
    char* rows = static_cast<char*>(scratch_[worker].rows->data());
    TransformTiles(job, first, count, rows);
    MultiplyTiles(job, first, count, rows, 0, job.weight.count, worker);
  });
}

void WinogradConvolution::RunShared(const Job& job) {
  char* rows = static_cast<char*>(rows_->data());
  for (int64_t start = 0; start < job.tiles; start += job.chunk) {
    const int64_t chunk = std::min(job.chunk, job.tiles - start);
    pool_->RunRows(chunk, job.weight.panels.depth * job.area(),
                   [&](int64_t first, int64_t count, int) {
                     TransformTiles(job, start + first, count, rows + first * job.row);
                   });
    pool_->Run(static_cast<int>(job.shares * job.blocks), [&](int task, int worker) {
      const int64_t share = task / job.blocks, block = task % job.blocks;
      const int64_t first = chunk * block / job.blocks;
      const int64_t count = chunk * (block + 1) / job.blocks - first;
      MultiplyTiles(job, start + first, count, rows + first * job.row,
                    job.weight.count * share / job.shares,
                    job.weight.count * (share + 1) / job.shares, worker);
    });
  }
}

// `to`: the first tile's row in the first product.
void WinogradConvolution::TransformTiles(const Job& job, int64_t first, int64_t count,
                                         char* to) const {
  const FeatureMap& x = job.x;
  const int edge = job.edge(), padding = job.convolution.padding();
  const int64_t pixel = x.pixels.cols * static_cast<int64_t>(SizeOf(compute_type_));
  const char* data = static_cast<const char*>(x.pixels.data);
  const void* pixels[kWinogradLargestArea];
  WinogradInput task;
  task.pixels = pixels;
  task.channels = x.pixels.cols;
  task.plane = job.row_plane;
  for (int64_t t = first; t < first + count; ++t, to += job.row) {
    const int64_t line = t / job.across, picture = line / job.down;
    const int64_t top = line % job.down * job.tile() - padding;
    const int64_t left = t % job.across * job.tile() - padding;
    const void** at = pixels;
    for (int64_t y = top; y < top + edge; ++y) {
      const bool inside = y >= 0 && y < x.height;
      const int64_t row = (picture * x.height + y) * x.width;
      for (int64_t i = left; i < left + edge; ++i) {
        *at++ = inside && i >= 0 && i < x.width ? data + (row + i) * pixel : zeros_->data();
      }
    }
    task.to = to;
    job.weight.transforms.input(task);
  }
}

void WinogradConvolution::MultiplyTiles(const Job& job, int64_t first, int64_t count,
                                        const char* rows, int64_t first_panel, int64_t end_panel,
                                        int worker) const {
  const Weight& weight = job.weight;
  char* products = static_cast<char*>(scratch_[worker].products->data());
  PanelTask task;
  task.x_stride = job.row;
  task.rows = count;
  task.depth = weight.panels.depth;
  for (int64_t panel = first_panel; panel < end_panel; panel += job.group) {
    const int64_t panels = std::min(job.group, end_panel - panel);
    char* to = products;
    for (int64_t place = 0; place < job.area(); ++place, to += job.product_plane) {
      task.x = rows + place * job.row_plane;
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
    FinishTiles(job, first, count, panel, panels, reinterpret_cast<const float*>(products));
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
