#include "kernels/cuda/products.h"

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/checks.h"
#include "kernels/cuda/weights.h"
#include "kernels/host_memory.h"

namespace cliptag::cuda {
namespace {

// What NVIDIA advises for Hopper; less costs split-K algorithms their place.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr uint32_t kLargestAlignment = 256;  // cudaMalloc's

Status FromLibrary(cublasStatus_t status, const std::string& doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return {};
  const std::string code = std::to_string(static_cast<int>(status));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) {
    return ResourceExhausted("cuBLASLt had no memory while " + doing +
                             "; use a smaller model or max-batch, or backend=cpu.");
  }
  return Internal("cuBLASLt failed while " + doing + " (status " + code +
                  "); start the pipeline again, or use backend=cpu.");
}

#define CLIPTAG_RETURN_IF_LIBRARY_ERROR(call, doing)                             \
  do {                                                                           \
    if (const cublasStatus_t status_ = (call); status_ != CUBLAS_STATUS_SUCCESS) \
      return FromLibrary(status_, doing);                                        \
  } while (false)

// A descriptor of the library, freed with `kDestroy`.
template <typename Handle, auto kDestroy>
struct Destroy {
  void operator()(std::remove_pointer_t<Handle>* handle) const { (void)kDestroy(handle); }
};
template <typename Handle, auto kDestroy>
using Descriptor = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;
using MatmulDescriptor = Descriptor<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using LayoutDescriptor = Descriptor<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using PreferenceDescriptor =
    Descriptor<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t DataType(DType type) {
  return type == DType::kF16 ? CUDA_R_16F : type == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

// The largest power of two, up to 256, that divides the address and the row's bytes.
uint32_t Alignment(const Matrix& m) {
  const auto bits = reinterpret_cast<uintptr_t>(m.data) |
                    static_cast<uintptr_t>(m.stride * static_cast<int64_t>(SizeOf(m.type)));
  const uintptr_t lowest = bits & (~bits + 1);
  return lowest == 0 || lowest > kLargestAlignment ? kLargestAlignment
                                                   : static_cast<uint32_t>(lowest);
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

// All weights of the stack as (out, in) in `type`.
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
  int64_t in() const override { return shape.in; }
  int64_t out() const override { return shape.out; }
  size_t bytes() const override {
    return weights->bytes() + (bias ? bias->bytes() + rounded_bias->bytes() : 0);
  }

  LinearShape shape;
  std::unique_ptr<DeviceMemory> weights;  // (out, in) compute type
  // (out): the library wants a bias of the output's type.
  std::unique_ptr<DeviceMemory> bias;          // f32
  std::unique_ptr<DeviceMemory> rounded_bias;  // compute type
};

struct Products::Plan {
  MatmulDescriptor product;
  LayoutDescriptor weights, x, out;
  cublasLtMatmulAlgo_t algorithm;
};

Products::Products(DType compute_type, cudaStream_t stream)
    : compute_type_(compute_type), stream_(stream) {}

Products::~Products() {
  plans_.clear();
  if (library_ != nullptr) (void)cublasLtDestroy(library_);
}

Result<std::unique_ptr<Products>> Products::Create(DType compute_type, cudaStream_t stream) {
  std::unique_ptr<Products> products(new Products(compute_type, stream));
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(cublasLtCreate(&products->library_), "it started");
  CLIPTAG_ASSIGN_OR_RETURN(products->workspace_, DeviceMemory::Allocate(kWorkspaceBytes));
  return products;
}

Result<std::unique_ptr<Linear>> Products::Pack(const LinearSpec& spec) {
  auto linear = std::make_unique<PackedLinear>();
  CLIPTAG_ASSIGN_OR_RETURN(linear->shape, CheckLinear(spec));
  CLIPTAG_ASSIGN_OR_RETURN(linear->weights,
                           ToDevice(StackedRows(spec, linear->shape, compute_type_), stream_));
  if (!spec.biases.empty()) {
    std::vector<float> bias;
    for (const HostTensor& b : spec.biases) {
      for (int64_t i = 0; i < b.elements(); ++i) bias.push_back(LoadAsFloat(b.data, b.type, i));
    }
    std::vector<uint16_t> rounded;
    for (float b : bias) rounded.push_back(RoundTo(compute_type_, b));
    CLIPTAG_ASSIGN_OR_RETURN(linear->bias, ToDevice(bias, stream_));
    CLIPTAG_ASSIGN_OR_RETURN(linear->rounded_bias, ToDevice(rounded, stream_));
  }
  return std::unique_ptr<Linear>(std::move(linear));
}

const float* Products::Bias(const Linear& linear) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  return packed.bias ? static_cast<const float*>(packed.bias->data()) : nullptr;
}

// Products of one shape share a plan, so each sets its own bias.
Status Products::SetBias(const Plan& plan, const PackedLinear& linear, DType out) {
  const void* bias = out == DType::kF32 ? linear.bias->data() : linear.rounded_bias->data();
  return Set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
}

Result<std::unique_ptr<Products::Plan>> Products::MakePlan(const Matrix& x,
                                                           const PackedLinear& linear,
                                                           bool with_bias, const Matrix& out) {
  auto plan = std::make_unique<Plan>();
  cublasLtMatmulDesc_t product = nullptr;
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(
      cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
      "a product was described");
  plan->product.reset(product);
  CLIPTAG_RETURN_IF_ERROR(Set(plan->product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T));
  const cublasLtEpilogue_t epilogue =
      with_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  CLIPTAG_RETURN_IF_ERROR(Set(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue));
  if (with_bias) CLIPTAG_RETURN_IF_ERROR(SetBias(*plan, linear, out.type));
  const int64_t in = linear.shape.in, columns = linear.shape.out, rows = x.rows;
  CLIPTAG_ASSIGN_OR_RETURN(plan->weights, MakeLayout(compute_type_, in, columns, in));
  CLIPTAG_ASSIGN_OR_RETURN(plan->x, MakeLayout(compute_type_, in, rows, x.stride));
  CLIPTAG_ASSIGN_OR_RETURN(plan->out, MakeLayout(out.type, columns, rows, out.stride));

  cublasLtMatmulPreference_t made = nullptr;
  CLIPTAG_RETURN_IF_LIBRARY_ERROR(cublasLtMatmulPreferenceCreate(&made), "a product was described");
  const PreferenceDescriptor preference(made);
  const Matrix weights{linear.weights->data(), compute_type_, columns, in, in};
  const uint32_t out_alignment = Alignment(out);
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Alignment(weights)));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Alignment(x)));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out_alignment));
  CLIPTAG_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out_alignment));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      library_, plan->product.get(), plan->weights.get(), plan->x.get(), plan->out.get(),
      plan->out.get(), preference.get(), 1, &found, &count);
  if (status == CUBLAS_STATUS_SUCCESS && count == 1 && found.state == CUBLAS_STATUS_SUCCESS) {
    plan->algorithm = found.algo;
    return plan;
  }
  return FromLibrary(status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status,
                     "it was asked for a product of " + std::to_string(rows) + "x" +
                         std::to_string(in) + " by " + std::to_string(in) + "x" +
                         std::to_string(columns));
}

Result<Products::Plan*> Products::PlanFor(const Matrix& x, const PackedLinear& linear,
                                          bool with_bias, const Matrix& out) {
  const Key key{x.rows,   linear.shape.out, linear.shape.in, x.stride,      out.stride,
                out.type, with_bias,        Alignment(x),    Alignment(out)};
  std::unique_ptr<Plan>& plan = plans_[key];
  if (!plan) {
    auto made = MakePlan(x, linear, with_bias, out);
    if (!made.ok()) {
      plans_.erase(key);
      return made.status();
    }
    plan = made.Take();
  }
  return plan.get();
}

Status Products::Run(const Matrix& x, const Linear& linear, bool with_bias, bool accumulate,
                     const Matrix& out) {
  const auto& packed = static_cast<const PackedLinear&>(linear);
  with_bias = with_bias && packed.bias != nullptr;
  CLIPTAG_ASSIGN_OR_RETURN(Plan * plan, PlanFor(x, packed, with_bias, out));
  if (with_bias) CLIPTAG_RETURN_IF_ERROR(SetBias(*plan, packed, out.type));
  const float one = 1.0f, beta = accumulate ? 1.0f : 0.0f;
  return FromLibrary(cublasLtMatmul(library_, plan->product.get(), &one, packed.weights->data(),
                                    plan->weights.get(), x.data, plan->x.get(), &beta, out.data,
                                    plan->out.get(), out.data, plan->out.get(), &plan->algorithm,
                                    workspace_->data(), workspace_->bytes(), stream_),
                     "a product was started");
}

}  // namespace cliptag::cuda
