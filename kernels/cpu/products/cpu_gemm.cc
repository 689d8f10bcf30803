#include "kernels/cpu/products/cpu_gemm.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

#include "kernels/base/concat.h"
#include "kernels/checks.h"
#include "kernels/cpu/products/onednn/gemm.h"
#include "kernels/cpu/products/panel/gemm.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// Products are timed on one thread by its CPU time, which a busy machine distorts least: 50 rows (a
// picture of ViT-B/32) times at most 512 outputs, with four copies of the weights in turn, which
// together do not fit the L2 cache. That takes about ten milliseconds per shape.
constexpr int64_t kTimedRows = 50;
constexpr int64_t kTimedOutputs = 512;
constexpr int kCopies = 4, kPasses = 3;
constexpr double kMargin = 1.05;  // oneDNN is chosen if it is faster by this factor

struct Timed {
  double panel_ms = 0, onednn_ms = 0;
  bool onednn() const { return onednn_ms * kMargin < panel_ms; }
};
using TimedKey = std::tuple<CpuLevel, DType, int64_t, int64_t>;  // out, in
std::mutex timed_mutex;
std::map<TimedKey, Timed>& TimedShapes() {  // guarded by timed_mutex
  static auto* shapes = new std::map<TimedKey, Timed>;
  return *shapes;
}

double ThreadMilliseconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

// Milliseconds per product: the minimum over some passes.
Result<double> TimeOf(Products& products, DType type, const LinearSpec& spec,
                      const LinearShape& shape) {
  std::unique_ptr<PackedWeight> weights[kCopies];
  for (auto& weight : weights) {
    CLIPTAG_ASSIGN_OR_RETURN(weight, products.Pack(spec, shape));
    CLIPTAG_RETURN_IF_ERROR(products.Prepare(*weight, kTimedRows));
  }
  CLIPTAG_ASSIGN_OR_RETURN(const auto x, AllocateHost(kTimedRows * shape.in * SizeOf(type)));
  CLIPTAG_ASSIGN_OR_RETURN(const auto out, AllocateHost(kTimedRows * shape.out * sizeof(float)));
  std::fill_n(static_cast<char*>(x->data()), x->bytes(), '\0');
  const Matrix from{x->data(), type, kTimedRows, shape.in, shape.in};
  const Matrix to{out->data(), DType::kF32, kTimedRows, shape.out, shape.out};
  double best = 1e9;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double start = ThreadMilliseconds();
    for (const auto& weight : weights) {
      CLIPTAG_RETURN_IF_ERROR(products.Run(from, *weight, {}, to));
    }
    best = std::min(best, (ThreadMilliseconds() - start) / kCopies);
  }
  return best;
}

}  // namespace

class CpuGemm::PackedLinear : public Linear {
 public:
  int64_t in() const override { return shape.in; }
  int64_t out() const override { return shape.out; }
  size_t bytes() const override { return weight->bytes(); }

  LinearShape shape;
  Products* products = nullptr;
  std::unique_ptr<PackedWeight> weight;
};

Result<std::unique_ptr<CpuGemm>> CpuGemm::Create(CpuLevel level, DType compute_type, bool int8,
                                                 const SimdKernels& kernels, ThreadPool* pool) {
  std::unique_ptr<CpuGemm> gemm(new CpuGemm(level, compute_type, kernels, pool));
  const bool native = compute_type == DType::kBF16 && level >= CpuLevel::kAvx512Bf16;
  const PanelType type = native ? PanelType::kBf16 : PanelType::kF32;
  gemm->panel_kernel_ = PanelKernelFor(level, type);
  if (gemm->panel_kernel_ != nullptr) {
    gemm->panels_ = std::make_unique<PanelGemm>(*gemm->panel_kernel_, compute_type, kernels, pool);
  }
  CLIPTAG_ASSIGN_OR_RETURN(gemm->onednn_, OneDnnGemm::Create(level, compute_type, kernels, pool));
  if (int8) {
    gemm->int8_kernel_ = PanelKernelFor(level, PanelType::kInt8);
    gemm->int8_ = std::make_unique<PanelGemm>(*gemm->int8_kernel_, compute_type, kernels, pool);
  }
  return gemm;
}

Result<CpuGemm::Choice> CpuGemm::Time(const LinearShape& shape) const {
  const TimedKey key{level_, compute_type_, shape.out, shape.in};
  const std::lock_guard lock(timed_mutex);
  auto found = TimedShapes().find(key);
  if (found == TimedShapes().end()) {
    ThreadPool one_thread(1);
    PanelGemm panels(*panel_kernel_, compute_type_, kernels_, &one_thread);
    CLIPTAG_ASSIGN_OR_RETURN(const auto onednn,
                             OneDnnGemm::Create(level_, compute_type_, kernels_, &one_thread));
    const std::vector<float> zeros(shape.in * shape.out);
    const LinearSpec spec{{{zeros.data(), DType::kF32, {shape.out, shape.in}}}};
    Timed timed;
    CLIPTAG_ASSIGN_OR_RETURN(timed.panel_ms, TimeOf(panels, compute_type_, spec, shape));
    CLIPTAG_ASSIGN_OR_RETURN(timed.onednn_ms, TimeOf(*onednn, compute_type_, spec, shape));
    found = TimedShapes().emplace(key, timed).first;
  }
  const Timed& timed = found->second;
  char times[96];
  std::snprintf(times, sizeof(times), " (%.3f ms, oneDNN %.3f ms)", timed.panel_ms,
                timed.onednn_ms);
  return Choice{timed.onednn(), times};
}

Result<Products*> CpuGemm::Choose(const LinearShape& whole) {
  if (!panels_) return onednn_.get();
  const LinearShape shape{std::min(whole.out, kTimedOutputs), whole.in};
  auto found = choices_.find({shape.in, shape.out});
  if (found == choices_.end()) {
    CLIPTAG_ASSIGN_OR_RETURN(Choice choice, Time(shape));
    found = choices_.emplace(std::pair(shape.in, shape.out), std::move(choice)).first;
  }
  const Choice& choice = found->second;
  Note(whole, (choice.onednn ? "oneDNN" : panel_kernel_->name) + choice.why);
  return choice.onednn ? onednn_.get() : panels_.get();
}

std::string CpuGemm::choices() const {
  std::string text;
  for (const auto& [shape, choice] : choices_) {
    text += Concat(text.empty() ? "" : " ", shape.first, "x", shape.second,
                   choice.onednn ? "=onednn" : "=own");
  }
  return text;
}

void CpuGemm::SetChoices(const std::string& choices) {
  std::istringstream words(choices);
  for (std::string word; words >> word;) {
    long long in = 0, out = 0;
    char product[8] = {};
    if (std::sscanf(word.c_str(), "%lldx%lld=%7s", &in, &out, product) != 3) continue;
    const bool onednn = std::string_view(product) == "onednn";
    if (!onednn && std::string_view(product) != "own") continue;
    choices_[{in, out}] = {onednn, " (as at an earlier start)"};
  }
}

void CpuGemm::Note(const LinearShape& shape, const std::string& product) {
  const std::string line = Concat(shape.in, "x", shape.out, ": ", product);
  if (std::find(products_.begin(), products_.end(), line) == products_.end()) {
    products_.push_back(line);
  }
}

Result<std::unique_ptr<Linear>> CpuGemm::Pack(const LinearSpec& spec) {
  auto linear = std::make_unique<PackedLinear>();
  CLIPTAG_ASSIGN_OR_RETURN(linear->shape, CheckLinear(spec));
  if (int8_ && !spec.precise) {
    linear->products = int8_.get();
    Note(linear->shape, int8_kernel_->name);
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(linear->products, Choose(linear->shape));
  }
  CLIPTAG_ASSIGN_OR_RETURN(linear->weight, linear->products->Pack(spec, linear->shape));
  return std::unique_ptr<Linear>(std::move(linear));
}

Status CpuGemm::Prepare(const Linear& linear, int64_t rows) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  return packed.products->Prepare(*packed.weight, rows);
}

Status CpuGemm::Run(const Matrix& x, const Linear& linear, const ProductFinish& finish,
                    const Matrix& out) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  return packed.products->Run(x, *packed.weight, finish, out);
}

}  // namespace cliptag
