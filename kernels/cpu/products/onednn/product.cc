#include "kernels/cpu/products/onednn/product.h"

#include <omp.h>

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/base/concat.h"
#include "kernels/base/log.h"
#include "kernels/cpu/products/onednn/api.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

using dnnl::memory;

memory::data_type TypeOf(DType type) {
  return type == DType::kBF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// One OpenMP thread while in scope. The setting is per thread; the calling thread may belong to the
// user, so it is restored.
class OneOmpThread {
 public:
  OneOmpThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneOmpThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneOmpThread(const OneOmpThread&) = delete;
  OneOmpThread& operator=(const OneOmpThread&) = delete;

 private:
  int before_;
};

// Runs `f`, which calls oneDNN, and turns an exception into a Status.
template <typename F>
Status Guard(const std::string& what, F f) {
  OneOmpThread one_thread;
  try {
    f();
    return {};
  } catch (const dnnl::error& error) {
    return Internal("oneDNN could not " + what + ": " + error.what() + ".");
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("Out of memory: oneDNN could not " + what + ".");
  } catch (const std::exception& error) {
    return Internal("Could not " + what + ": " + error.what() + ".");
  }
}

std::string ShapeName(DType type, int64_t rows, int64_t n, int64_t k) {
  return Concat(type == DType::kBF16 ? "bf16" : "fp32", " product of ", rows, "x", k, " and ", k,
                "x", n);
}

void CapCpu(CpuLevel level) {
  static std::once_flag once;
  std::call_once(once, [level] {
    using dnnl::cpu_isa;
    const cpu_isa isa = level == CpuLevel::kBaseline     ? cpu_isa::sse41
                        : level == CpuLevel::kAvx2       ? cpu_isa::avx2
                        : level <= CpuLevel::kAvx512Vnni ? cpu_isa::avx512_core_vnni
                        : level == CpuLevel::kAvx512Bf16 ? cpu_isa::avx512_core_bf16
                                                         : cpu_isa::avx512_core_amx;
    // Fails if this process has used oneDNN before, which then keeps its own choice.
    static_cast<void>(dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(isa)));
  });
}

class Packed : public OneDnn::PackedWeights {
 public:
  Packed(memory weights) : weights_(std::move(weights)) {}
  const memory& weights() const { return weights_; }

 private:
  memory weights_;
};

}  // namespace

class OneDnn::Plan {
 public:
  // A worker's arguments of the primitive: created once, addresses set before each run.
  struct Arguments {
    memory src, dst, scratchpad;
  };
  dnnl::inner_product_forward product;
  std::vector<Arguments> workers;
};

struct OneDnn::Impl {
  using Key = std::tuple<DType, int64_t, int64_t, int64_t>;  // type, rows, n, k
  // How weights (n, k) are packed.
  struct Layout {
    memory::desc plain, packed, scratchpad;
    dnnl::reorder rearrange;
  };

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::vector<dnnl::stream> streams;                 // per worker
  std::vector<std::unique_ptr<Memory>> scratchpads;  // per worker, as large as any plan needs
  std::map<Key, std::unique_ptr<Plan>> plans;
  std::map<Key, Layout> layouts;  // rows = 0

  const Layout& FindLayout(DType type, int64_t n, int64_t k) {
    Layout& layout = layouts[{type, 0, n, k}];
    if (layout.rearrange) return layout;
    // Any number of rows will do: brgemm wants the same layout for all of them, and plans make
    // other implementations use it as well.
    constexpr int64_t kRows = 64;
    const memory::desc any({n, k}, TypeOf(type), memory::format_tag::any);
    layout.plain = memory::desc({n, k}, TypeOf(type), memory::format_tag::ab);
    layout.packed = Describe(type, kRows, n, k, any).weights_desc();
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc description(engine, layout.plain, engine, layout.packed,
                                                    attributes);
    layout.scratchpad = description.scratchpad_desc();
    layout.rearrange = dnnl::reorder(description);
    return layout;
  }

  dnnl::inner_product_forward::primitive_desc Describe(DType type, int64_t rows, int64_t n,
                                                       int64_t k, const memory::desc& weights) {
    const memory::desc src({rows, k}, TypeOf(type), memory::format_tag::ab);
    const memory::desc dst({rows, n}, memory::data_type::f32, memory::format_tag::ab);
    return DescribeProduct(engine, src, weights, dst);
  }

  std::unique_ptr<Plan> MakePlan(DType type, int64_t rows, int64_t n, int64_t k) {
    const auto description = Describe(type, rows, n, k, FindLayout(type, n, k).packed);
    const std::string implementation = description.impl_info_str();
    const bool slow = implementation.rfind("ref", 0) == 0;
    Log(slow ? LogLevel::kWarning : LogLevel::kDebug,
        Concat("oneDNN uses ", implementation, " for the ", ShapeName(type, rows, n, k),
               slow ? ": it has no fast code for it on this CPU." : "."));
    auto plan = std::make_unique<Plan>();
    plan->product = dnnl::inner_product_forward(description);
    for (size_t w = 0; w < streams.size(); ++w) {
      plan->workers.push_back({memory(description.src_desc(), engine, DNNL_MEMORY_NONE),
                               memory(description.dst_desc(), engine, DNNL_MEMORY_NONE),
                               memory(description.scratchpad_desc(), engine, DNNL_MEMORY_NONE)});
    }
    return plan;
  }

  // Makes every worker's scratchpad hold at least that much.
  Status GrowScratchpads(size_t bytes) {
    for (auto& scratchpad : scratchpads) CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratchpad, bytes));
    return {};
  }
};

OneDnn::OneDnn(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OneDnn::~OneDnn() = default;

Result<std::unique_ptr<OneDnn>> OneDnn::Create(CpuLevel level, int workers) {
  std::unique_ptr<Impl> impl;
  CLIPTAG_RETURN_IF_ERROR(Guard("start", [&] {
    if (level != DetectCpuLevel()) CapCpu(level);
    impl = std::make_unique<Impl>();
    for (int w = 0; w < workers; ++w) impl->streams.emplace_back(impl->engine);
  }));
  impl->scratchpads.resize(workers);
  return std::unique_ptr<OneDnn>(new OneDnn(std::move(impl)));
}

Result<size_t> OneDnn::PackedBytes(DType type, int64_t n, int64_t k) {
  size_t bytes = 0;
  CLIPTAG_RETURN_IF_ERROR(Guard("plan the packing of a " + ShapeName(type, 64, n, k),
                                [&] { bytes = impl_->FindLayout(type, n, k).packed.get_size(); }));
  return bytes;
}

Result<std::unique_ptr<OneDnn::PackedWeights>> OneDnn::Pack(DType type, int64_t n, int64_t k,
                                                            const void* weights, void* to) const {
  std::unique_ptr<PackedWeights> packed;
  CLIPTAG_RETURN_IF_ERROR(Guard("pack weights for a " + ShapeName(type, 64, n, k), [&] {
    const Impl::Layout& layout = impl_->layouts.at({type, 0, n, k});
    const memory source(layout.plain, impl_->engine, const_cast<void*>(weights));
    memory target(layout.packed, impl_->engine, to);
    const memory scratchpad(layout.scratchpad, impl_->engine);
    dnnl::stream stream(impl_->engine);
    layout.rearrange.execute(
        stream,
        {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
    stream.wait();
    packed = std::make_unique<Packed>(std::move(target));
  }));
  return packed;
}

Result<OneDnn::Plan*> OneDnn::FindPlan(DType type, int64_t rows, int64_t n, int64_t k) {
  const auto found = impl_->plans.find({type, rows, n, k});
  if (found != impl_->plans.end()) return found->second.get();
  std::unique_ptr<Plan> plan;
  CLIPTAG_RETURN_IF_ERROR(Guard("plan the " + ShapeName(type, rows, n, k),
                                [&] { plan = impl_->MakePlan(type, rows, n, k); }));
  CLIPTAG_RETURN_IF_ERROR(
      impl_->GrowScratchpads(plan->workers.front().scratchpad.get_desc().get_size()));
  return (impl_->plans[{type, rows, n, k}] = std::move(plan)).get();
}

bool OneDnn::Run(Plan& plan, const PackedWeights& weights, const void* x, float* out, int worker) {
  OneOmpThread one_thread;
  Plan::Arguments& a = plan.workers[worker];
  const Memory* scratchpad = impl_->scratchpads[worker].get();
  dnnl_memory_t scratch = a.scratchpad.get();
  // The C interface: the C++ one builds a hash map per call, and throws.
  if (dnnl_memory_set_data_handle(a.src.get(), const_cast<void*>(x)) != dnnl_success ||
      dnnl_memory_set_data_handle(a.dst.get(), out) != dnnl_success ||
      dnnl_memory_set_data_handle(scratch, scratchpad->data()) != dnnl_success) {
    return false;
  }
  const dnnl_exec_arg_t arguments[] = {
      {DNNL_ARG_SRC, a.src.get()},
      {DNNL_ARG_WEIGHTS, static_cast<const Packed&>(weights).weights().get()},
      {DNNL_ARG_DST, a.dst.get()},
      {DNNL_ARG_SCRATCHPAD, scratch}};
  dnnl_stream_t stream = impl_->streams[worker].get();
  return dnnl_primitive_execute(plan.product.get(), stream, 4, arguments) == dnnl_success &&
         dnnl_stream_wait(stream) == dnnl_success;
}

std::string OneDnn::Version() {
  const dnnl_version_t* version = dnnl_version();
  return Concat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
}

}  // namespace cliptag
