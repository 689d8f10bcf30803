#include "kernels/cuda/libraries/products.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/concat.h"
#include "kernels/base/log.h"
#include "kernels/checks.h"
#include "kernels/cuda/device/weights.h"
#include "kernels/cuda/libraries/fastest.h"
#include "kernels/host_memory.h"

namespace cliptag::cuda {
namespace {

// NVIDIA's recommendation for Hopper; with less, split-K algorithms are not proposed.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr uint32_t kLargestAlignment = 256;  // cudaMalloc's
constexpr int kMostProposals = 8;            // to be timed
// How often the workspace is cleared before a measurement: long enough to queue ten runs.
constexpr int kHolds = 4;

Status FromLibrary(cublasStatus_t status, const std::string& doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return {};
  if (status == CUBLAS_STATUS_ALLOC_FAILED) {
    return ResourceExhausted("cuBLASLt had no memory while " + doing +
                             "; use a smaller model or max-batch, or backend=cpu.");
  }
  return Internal(Concat("cuBLASLt failed while ", doing, " (status ", static_cast<int>(status),
                         "); start the pipeline again, or use backend=cpu."));
}

#define CLIPTAG_RETURN_IF_LIBRARY_ERROR(call, doing)                             \
  do {                                                                           \
    if (const cublasStatus_t status_ = (call); status_ != CUBLAS_STATUS_SUCCESS) \
      return FromLibrary(status_, doing);                                        \
  } while (false)

using MatmulDescriptor = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using LayoutDescriptor = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using PreferenceDescriptor = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t DataType(DType type) {
  return type == DType::kF16 ? CUDA_R_16F : type == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

// The largest power of two, up to 256, that divides the address and the bytes of a row.
uint32_t Alignment(const Matrix& m) {
  const auto row_bytes = static_cast<uintptr_t>(m.stride) * SizeOf(m.type);
  return 1u << std::countr_zero(reinterpret_cast<uintptr_t>(m.data) | row_bytes |
                                kLargestAlignment);
}

size_t Misalignment(const Matrix& m) {
  return reinterpret_cast<uintptr_t>(m.data) % kLargestAlignment;
}

size_t SpanBytes(const Matrix& m) {
  return static_cast<size_t>((m.rows - 1) * m.stride + m.cols) * SizeOf(m.type);
}

std::string ShapeOf(const Matrix& x, const Matrix& out) {
  return Concat(x.rows, "x", x.cols, " by ", x.cols, "x", out.cols);
}

bool IsCapturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t error = cudaStreamIsCapturing(stream, &status);
  return !FromCuda(error, "a stream was queried").ok() || status != cudaStreamCaptureStatusNone;
}

// Fills memory with numbers from -1 to 1: with zeros a GPU takes less power and runs faster. They
// are also finite when read as f32.
Status FillWithNumbers(const DeviceMemory& memory, DType type, cudaStream_t stream) {
  std::vector<uint16_t> numbers(size_t{1} << 16);
  uint32_t random = 1;
  for (uint16_t& number : numbers) {
    random = random * 1664525u + 1013904223u;
    number = RoundTo(type, static_cast<float>(random >> 8) * 0x1p-23f - 1.0f);
  }
  auto* bytes = static_cast<std::byte*>(memory.data());
  size_t filled = std::min(memory.bytes(), numbers.size() * sizeof(uint16_t));
  CLIPTAG_RETURN_IF_ERROR(CopyToDevice(bytes, numbers.data(), filled, stream));
  while (filled < memory.bytes()) {
    const size_t more = std::min(filled, memory.bytes() - filled);
    CLIPTAG_RETURN_IF_CUDA_ERROR(
        cudaMemcpyAsync(bytes + filled, bytes, more, cudaMemcpyDeviceToDevice, stream),
        "memory was filled");
    filled += more;
  }
  return {};
}

Result<LayoutDescriptor> MakeLayout(DType type, int64_t rows, int64_t cols, int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(
      cublasLtMatrixLayoutCreate(&layout, DataType(type), static_cast<uint64_t>(rows),
                                 static_cast<uint64_t>(cols), stride),
      "a matrix was described");
  return LayoutDescriptor(layout);
}

template <typename Value>
Status Set(const MatmulDescriptor& descriptor, cublasLtMatmulDescAttributes_t attribute,
           const Value& value) {
  return FromLibrary(
      cublasLtMatmulDescSetAttribute(descriptor.get(), attribute, &value, sizeof(value)),
      "a product was described");
}
template <typename Value>
Status Set(const PreferenceDescriptor& descriptor, cublasLtMatmulPreferenceAttributes_t attribute,
           const Value& value) {
  return FromLibrary(
      cublasLtMatmulPreferenceSetAttribute(descriptor.get(), attribute, &value, sizeof(value)),
      "a product was described");
}

// The stacked weights as (out, in) in `type`.
std::vector<uint16_t> StackedRows(const LinearSpec& spec, const LinearShape& shape, DType type) {
  std::vector<uint16_t> rows(static_cast<size_t>(shape.out * shape.in));
  size_t next = 0;
  for (const HostTensor& weight : spec.weights) {
    if (weight.type == type && !spec.transposed) {
      std::memcpy(rows.data() + next, weight.data, weight.elements() * sizeof(uint16_t));
      next += static_cast<size_t>(weight.elements());
      continue;
    }
    const int64_t out = weight.elements() / shape.in;
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < shape.in; ++i) {
        const int64_t at = spec.transposed ? i * out + o : o * shape.in + i;
        rows[next++] = RoundTo(type, LoadAsFloat(weight.data, weight.type, at));
      }
    }
  }
  return rows;
}

}  // namespace

class Products::PackedLinear : public Linear {
 public:
  explicit PackedLinear(const Device& of) : device(of) {}
  ~PackedLinear() override { (void)device.Enter(); }
  int64_t in() const override { return shape.in; }
  int64_t out() const override { return shape.out; }
  size_t bytes() const override {
    return weights->bytes() + (bias ? bias->bytes() + rounded_bias->bytes() : 0);
  }

  const Device& device;
  LinearShape shape;
  std::unique_ptr<DeviceMemory> weights;  // (out, in) compute type
  // (out), both, since the library needs a bias of the output's type.
  std::unique_ptr<DeviceMemory> bias;          // f32
  std::unique_ptr<DeviceMemory> rounded_bias;  // compute type
};

struct Products::Plan {
  MatmulDescriptor product;
  LayoutDescriptor weights, x, out;
  cublasLtMatmulAlgo_t algorithm;
};

Products::Products(const Device& device, DType compute_type, cudaStream_t stream)
    : device_(device), compute_type_(compute_type), stream_(stream) {}

Products::~Products() {
  plans_.clear();
  if (library_ != nullptr) (void)cublasLtDestroy(library_);
}

Result<std::unique_ptr<Products>> Products::Create(const Device& device, DType compute_type,
                                                   cudaStream_t stream) {
  std::unique_ptr<Products> products(new Products(device, compute_type, stream));
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(cublasLtCreate(&products->library_), "it started");
  CLIPTAG_ASSIGN_OR_RETURN(products->workspace_, DeviceMemory::Allocate(kWorkspaceBytes));
  return products;
}

Result<std::unique_ptr<Linear>> Products::Pack(const LinearSpec& spec) {
  auto linear = std::make_unique<PackedLinear>(device_);
  CLIPTAG_ASSIGN_OR_RETURN(linear->shape, CheckLinear(spec));
  CLIPTAG_ASSIGN_OR_RETURN(linear->weights,
                           ToDevice(StackedRows(spec, linear->shape, compute_type_), stream_));
  if (!spec.biases.empty()) {
    const std::vector<float> bias = BiasesOf(spec);
    CLIPTAG_ASSIGN_OR_RETURN(linear->bias, ToDevice(bias, stream_));
    CLIPTAG_ASSIGN_OR_RETURN(linear->rounded_bias,
                             ToDevice(RoundAll(compute_type_, bias), stream_));
  }
  return std::unique_ptr<Linear>(std::move(linear));
}

const float* Products::Bias(const Linear& linear) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  return packed.bias ? static_cast<const float*>(packed.bias->data()) : nullptr;
}

// Products of one shape share a plan, so each run sets its bias.
Status Products::SetBias(const Plan& plan, const PackedLinear& linear, DType out) {
  const void* bias = out == DType::kF32 ? linear.bias->data() : linear.rounded_bias->data();
  return Set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
}

Result<std::vector<cublasLtMatmulAlgo_t>> Products::Proposals(const Plan& plan,
                                                              const Product& product, int most) {
  cublasLtMatmulPreference_t made = nullptr;
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(cublasLtMatmulPreferenceCreate(&made), "a product was described");
  const PreferenceDescriptor preference(made);
  const int64_t in = product.linear.shape.in, columns = product.linear.shape.out;
  const Matrix weights{product.linear.weights->data(), compute_type_, columns, in, in};
  const uint32_t out_alignment = Alignment(product.out);
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Alignment(weights)));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Alignment(product.x)));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out_alignment));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out_alignment));
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      library_, plan.product.get(), plan.weights.get(), plan.x.get(), plan.out.get(),
      plan.out.get(), preference.get(), most, found.data(), &count);
  std::vector<cublasLtMatmulAlgo_t> proposals;
  if (status == CUBLAS_STATUS_SUCCESS) {
    for (const auto& one : std::span(found).first(static_cast<size_t>(count))) {
      if (one.state == CUBLAS_STATUS_SUCCESS) proposals.push_back(one.algo);
    }
  }
  if (!proposals.empty()) return proposals;
  return FromLibrary(status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status,
                     "an algorithm was chosen for a product of " + ShapeOf(product.x, product.out));
}

Result<size_t> Products::FastestOf(const std::vector<cublasLtMatmulAlgo_t>& proposals,
                                   const Plan& plan, const Product& product) {
  // x and out get the same alignment as the caller's.
  const size_t x_at = Misalignment(product.x);
  const size_t x_end = x_at + SpanBytes(product.x);
  const size_t out_at =
      (x_end / kLargestAlignment + 1) * kLargestAlignment + Misalignment(product.out);
  CLIPTAG_ASSIGN_OR_RETURN(const auto memory,
                           DeviceMemory::Allocate(out_at + SpanBytes(product.out)));
  CLIPTAG_RETURN_IF_ERROR(FillWithNumbers(*memory, compute_type_, stream_));
  auto* bytes = static_cast<std::byte*>(memory->data());
  const auto hold = [this]() -> Status {
    for (int i = 0; i < kHolds; ++i) {
      CLIPTAG_RETURN_IF_CUDA_ERROR(
          cudaMemsetAsync(workspace_->data(), 0, workspace_->bytes(), stream_),
          "memory was cleared");
    }
    return {};
  };
  return Fastest(stream_, proposals.size(), hold, [&](size_t i) {
    return Start(product, plan, proposals[i], bytes + x_at, bytes + out_at);
  });
}

Result<std::unique_ptr<Products::Plan>> Products::MakePlan(const Product& product) {
  const PackedLinear& linear = product.linear;
  const DType out = product.out.type;
  auto plan = std::make_unique<Plan>();
  cublasLtMatmulDesc_t made = nullptr;
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                                  "a product was described");
  plan->product.reset(made);
  CLIPTAG_RETURN_IF_ERROR(Set(plan->product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T));
  const cublasLtEpilogue_t epilogue =
      product.with_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  CLIPTAG_RETURN_IF_ERROR(Set(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue));
  if (product.with_bias) CLIPTAG_RETURN_IF_ERROR(SetBias(*plan, linear, out));
  const int64_t in = linear.shape.in, columns = linear.shape.out, rows = product.x.rows;
  CLIPTAG_ASSIGN_OR_RETURN(plan->weights, MakeLayout(compute_type_, in, columns, in));
  CLIPTAG_ASSIGN_OR_RETURN(plan->x, MakeLayout(compute_type_, in, rows, product.x.stride));
  CLIPTAG_ASSIGN_OR_RETURN(plan->out, MakeLayout(out, columns, rows, product.out.stride));
  // The only proposal of a request for one need not be the first of a request for many.
  CLIPTAG_ASSIGN_OR_RETURN(auto proposals, Proposals(*plan, product, 1));
  plan->algorithm = proposals[0];
  CLIPTAG_ASSIGN_OR_RETURN(const auto more, Proposals(*plan, product, kMostProposals));
  for (const auto& one : more) {
    if (std::memcmp(&one, &proposals[0], sizeof(one)) != 0) proposals.push_back(one);
  }
  if (proposals.size() == 1 || IsCapturing(stream_)) return plan;
  const auto fastest = FastestOf(proposals, *plan, product);
  // A failure to measure is no reason to stop, unless the GPU is lost; then CUDA's error is clearer
  // than the library's.
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream_), "algorithms were timed");
  if (fastest.ok()) plan->algorithm = proposals[*fastest];
  Log(LogLevel::kDebug,
      Concat("A product of ", ShapeOf(product.x, product.out), ": ",
             fastest.ok()
                 ? Concat("algorithm ", *fastest + 1, " of ", proposals.size(), " is the fastest.")
                 : "the first algorithm is used. " + fastest.status().message()));
  return plan;
}

Result<Products::Plan*> Products::PlanFor(const Product& product) {
  const Matrix &x = product.x, &out = product.out;
  const Key key{
      x.rows,   product.linear.shape.out, product.linear.shape.in, x.stride,     out.stride,
      out.type, product.with_bias,        product.accumulate,      Alignment(x), Alignment(out)};
  std::unique_ptr<Plan>& plan = plans_[key];
  if (!plan) {
    auto made = MakePlan(product);
    if (!made.ok()) {
      plans_.erase(key);
      return made.status();
    }
    plan = made.Take();
  }
  return plan.get();
}

Status Products::Start(const Product& product, const Plan& plan,
                       const cublasLtMatmulAlgo_t& algorithm, const void* x, void* out) {
  const float one = 1.0f, beta = product.accumulate ? 1.0f : 0.0f;
  return FromLibrary(
      cublasLtMatmul(library_, plan.product.get(), &one, product.linear.weights->data(),
                     plan.weights.get(), x, plan.x.get(), &beta, out, plan.out.get(), out,
                     plan.out.get(), &algorithm, workspace_->data(), workspace_->bytes(), stream_),
      "a product was started");
}

Status Products::Run(const Matrix& x, const Linear& linear, bool with_bias, bool accumulate,
                     const Matrix& out) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  const Product product{x, packed, with_bias && packed.bias != nullptr, accumulate, out};
  CLIPTAG_ASSIGN_OR_RETURN(const Plan* plan, PlanFor(product));
  if (product.with_bias) CLIPTAG_RETURN_IF_ERROR(SetBias(*plan, packed, out.type));
  return Start(product, *plan, plan->algorithm, x.data, out.data);
}

}  // namespace cliptag::cuda
