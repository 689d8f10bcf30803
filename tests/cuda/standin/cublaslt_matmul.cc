// cuBLASLt's heuristic and product.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "tests/cuda/standin/cublaslt.h"

using namespace cliptag::standin;  // NOLINT: implements cuBLASLt's names with it

namespace {

constexpr uint64_t kMagic = 0x636c697074616721;
constexpr size_t kLargestWorkspace = size_t{4} << 20;
constexpr size_t kWorkspaceAlignment = 256;

// D (m, n) = act(alpha op(A) (m, k) op(B) (k, n) + beta C + bias), column-major.
struct Product {
  MatrixLayout a, b, c, d;
  bool transpose_a = false, transpose_b = false;
  Number input = Number::kF32, output = Number::kF32, bias_type = Number::kF32;
  Activation activation = Activation::kNone;
  bool has_bias = false;
  int64_t bias_stride = 0;
  float alpha = 1, beta = 0;
  const void *a_data = nullptr, *b_data = nullptr, *c_data = nullptr, *bias = nullptr;
  void* d_data = nullptr;
};

std::optional<Number> ToNumber(int type) {
  switch (type) {
    case CUDA_R_32F:
      return Number::kF32;
    case CUDA_R_16F:
      return Number::kF16;
    case CUDA_R_16BF:
      return Number::kBf16;
    default:
      return std::nullopt;
  }
}

bool IsLayout(const MatrixLayout& l) {
  return l.rows > 0 && l.cols > 0 && l.ld >= static_cast<int64_t>(l.rows) && l.batch >= 1;
}

bool SameShape(const MatrixLayout& a, const MatrixLayout& b) {
  return a.rows == b.rows && a.cols == b.cols && a.batch == b.batch && a.type == b.type;
}

// "Supported types" of cublasLtMatmul(): A and B alike; C, D and bias as these, or float.
cublasStatus_t CheckTypes(const Runtime& runtime, const MatmulDesc& desc, Product& p) {
  const auto a = ToNumber(p.a.type), d = ToNumber(p.d.type);
  const int bias_type = desc.bias_type == -1 ? p.d.type : desc.bias_type;
  const bool fast = desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if (!a || !d || p.a.type != p.b.type || p.c.type != p.d.type || desc.scale != CUDA_R_32F ||
      (desc.compute != CUBLAS_COMPUTE_32F && desc.compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
       !fast)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (*d != *a && *d != Number::kF32) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (fast && *a != Number::kF32) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.has_bias && bias_type != p.d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.pointer_mode != CUBLASLT_POINTER_MODE_HOST) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const MatrixLayout* layout : {&p.a, &p.b, &p.c, &p.d}) {
    if (layout->order != CUBLASLT_ORDER_COL) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (*a == Number::kBf16 && runtime.settings.major < 8) return CUBLAS_STATUS_ARCH_MISMATCH;
  p.input = *a;
  p.output = *d;
  p.bias_type = *d;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckShapes(const Product& p) {
  for (const MatrixLayout* layout : {&p.a, &p.b, &p.c, &p.d}) {
    if (!IsLayout(*layout)) return CUBLAS_STATUS_INVALID_VALUE;
    if (layout->batch != p.d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const uint64_t m = p.transpose_a ? p.a.cols : p.a.rows, k = p.transpose_a ? p.a.rows : p.a.cols;
  const uint64_t n = p.transpose_b ? p.b.rows : p.b.cols, l = p.transpose_b ? p.b.cols : p.b.rows;
  if (k != l || p.d.rows != m || p.d.cols != n || !SameShape(p.c, p.d)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  // Results of a batch must not lie on top of each other.
  if (p.d.batch > 1 &&
      p.d.stride < static_cast<int64_t>(p.d.cols - 1) * p.d.ld + static_cast<int64_t>(p.d.rows)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

// Everything but the pointers.
cublasStatus_t Describe(Runtime& runtime, LtObjects& all, cublasLtMatmulDesc_t desc_handle,
                        const cublasLtMatrixLayout_t (&layouts)[4], Product& p) {
  const MatmulDesc* desc = all.descs.Find(runtime, desc_handle);
  MatrixLayout* found[4] = {&p.a, &p.b, &p.c, &p.d};
  for (int i = 0; i < 4; ++i) {
    const MatrixLayout* layout = all.layouts.Find(runtime, layouts[i]);
    if (desc == nullptr || layout == nullptr) {
      return LtMisuse(runtime, "cublasLtMatmul", "no such descriptor or layout");
    }
    *found[i] = *layout;
  }
  for (const int op : {desc->transpose_a, desc->transpose_b}) {
    if (op != CUBLAS_OP_N && op != CUBLAS_OP_T && op != CUBLAS_OP_C) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  p.transpose_a = desc->transpose_a != CUBLAS_OP_N;
  p.transpose_b = desc->transpose_b != CUBLAS_OP_N;
  p.has_bias = (desc->epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
  p.bias = desc->bias;
  p.bias_stride = desc->bias_stride;
  switch (desc->epilogue & ~unsigned{CUBLASLT_EPILOGUE_BIAS}) {
    case CUBLASLT_EPILOGUE_DEFAULT:
      if (p.has_bias) return CUBLAS_STATUS_INVALID_VALUE;
      break;
    case 0:
      if (!p.has_bias) return CUBLAS_STATUS_INVALID_VALUE;
      break;
    case CUBLASLT_EPILOGUE_RELU:
      p.activation = Activation::kRelu;
      break;
    case CUBLASLT_EPILOGUE_GELU:
      p.activation = Activation::kGelu;
      break;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const cublasStatus_t shapes = CheckShapes(p);
  return shapes != CUBLAS_STATUS_SUCCESS ? shapes : CheckTypes(runtime, *desc, p);
}

// What an algorithm is chosen for.
uint64_t Fingerprint(const Product& p) {
  uint64_t hash = 1469598103934665603u;
  const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (const MatrixLayout* l : {&p.a, &p.b, &p.c, &p.d}) {
    mix(l->type);
    mix(l->rows);
    mix(l->cols);
    mix(static_cast<uint64_t>(l->ld));
    mix(static_cast<uint64_t>(l->batch));
    mix(static_cast<uint64_t>(l->stride));
  }
  mix(p.transpose_a);
  mix(p.transpose_b);
  mix(p.has_bias);
  mix(static_cast<uint64_t>(p.activation));
  return hash;
}

Operand OperandOf(const char* name, const void* data, const MatrixLayout& l, Number type) {
  const int64_t one = static_cast<int64_t>(l.cols - 1) * l.ld + static_cast<int64_t>(l.rows);
  return {name, data, static_cast<size_t>((l.batch - 1) * l.stride + one) * SizeOf(type)};
}

// Whether two matrices share memory; columns that lie between each other's do not.
bool Share(const Operand& x, const MatrixLayout& lx, const Operand& y, const MatrixLayout& ly,
           size_t x_size, size_t y_size) {
  if (!Overlap(x, y)) return false;
  const auto pitch = static_cast<int64_t>(lx.ld * x_size);
  if (pitch != static_cast<int64_t>(ly.ld * y_size) || lx.batch > 1) return true;
  const int64_t offset =
      ((reinterpret_cast<intptr_t>(y.data) - reinterpret_cast<intptr_t>(x.data)) % pitch + pitch) %
      pitch;
  return offset < static_cast<int64_t>(lx.rows * x_size) ||
         offset + static_cast<int64_t>(ly.rows * y_size) > pitch;
}

cublasStatus_t CheckOperands(Runtime& runtime, const Product& p, std::vector<Operand>& operands) {
  operands = {OperandOf("A", p.a_data, p.a, p.input), OperandOf("B", p.b_data, p.b, p.input),
              OperandOf("C", p.c_data, p.c, p.output), OperandOf("D", p.d_data, p.d, p.output)};
  if (p.has_bias) {
    const int64_t count = (p.d.batch - 1) * p.bias_stride + static_cast<int64_t>(p.d.rows);
    operands.push_back({"the bias", p.bias, static_cast<size_t>(count) * SizeOf(p.bias_type)});
  }
  const std::string stray = FindStray(runtime, operands, runtime.device());
  if (!stray.empty()) return LtMisuse(runtime, "cublasLtMatmul", stray);
  const size_t in = SizeOf(p.input), out = SizeOf(p.output);
  if (Share(operands[3], p.d, operands[0], p.a, out, in) ||
      Share(operands[3], p.d, operands[1], p.b, out, in)) {
    return LtMisuse(runtime, "cublasLtMatmul", "D lies on A or B");
  }
  if (p.c_data == p.d_data) {
    return p.c.ld == p.d.ld && (p.d.batch == 1 || p.c.stride == p.d.stride)
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_INVALID_VALUE;
  }
  if (p.beta != 0 && Share(operands[3], p.d, operands[2], p.c, out, out)) {
    return LtMisuse(runtime, "cublasLtMatmul", "D lies on a part of C");
  }
  return CUBLAS_STATUS_SUCCESS;
}

bool IsAligned(const void* p, size_t alignment) {
  return alignment == 0 || reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

cublasStatus_t CheckAlgorithm(Runtime& runtime, const Product& p, const cublasLtMatmulAlgo_t* algo,
                              const void* workspace, size_t workspace_bytes) {
  const void* pointers[4] = {p.a_data, p.b_data, p.c_data, p.d_data};
  for (int i = 0; i < 4; ++i) {
    const size_t alignment =
        algo != nullptr ? algo->data[3] >> (16 * i) & 0xffff : SizeOf(i < 2 ? p.input : p.output);
    if (!IsAligned(pointers[i], alignment)) {
      return LtMisuse(runtime, "cublasLtMatmul",
                      std::string(1, "ABCD"[i]) + " is not a multiple of " +
                          std::to_string(alignment) + " bytes, as was declared");
    }
  }
  if (workspace_bytes > 0 && !IsAligned(workspace, kWorkspaceAlignment)) {
    return LtMisuse(runtime, "cublasLtMatmul", "the workspace is not a multiple of 256 bytes");
  }
  if (algo == nullptr) return CUBLAS_STATUS_SUCCESS;
  if (algo->data[0] != kMagic || algo->data[1] != Fingerprint(p) ||
      algo->data[4] != static_cast<uint64_t>(runtime.device())) {
    return LtMisuse(runtime, "cublasLtMatmul", "the algorithm was chosen for something else");
  }
  if (algo->data[2] > workspace_bytes) {
    return LtMisuse(runtime, "cublasLtMatmul",
                    "the algorithm wants a workspace of " + std::to_string(algo->data[2]) +
                        " bytes and gets " + std::to_string(workspace_bytes));
  }
  return CUBLAS_STATUS_SUCCESS;
}

const void* Offset(const void* data, int64_t elements, Number type) {
  return static_cast<const char*>(data) + elements * static_cast<int64_t>(SizeOf(type));
}

// Whether there is NaN among the results.
bool RunProduct(const Product& p) {
  bool nan = false;
  const auto m = static_cast<int64_t>(p.d.rows), n = static_cast<int64_t>(p.d.cols);
  const auto k = static_cast<int64_t>(p.transpose_a ? p.a.rows : p.a.cols);
  std::vector<float> bias(static_cast<size_t>(m));
  for (int batch = 0; batch < p.d.batch; ++batch) {
    // Column-major D is row-major D^T (n, m) = op(B)^T (n, k) op(A)^T (k, m).
    const View left{p.input,
                    Offset(p.b_data, batch * p.b.stride, p.input),
                    n,
                    k,
                    p.transpose_b ? 1 : p.b.ld,
                    p.transpose_b ? p.b.ld : 1};
    const View right{p.input,
                     Offset(p.a_data, batch * p.a.stride, p.input),
                     k,
                     m,
                     p.transpose_a ? 1 : p.a.ld,
                     p.transpose_a ? p.a.ld : 1};
    const std::vector<float> sums = Multiply(left, right);
    if (p.has_bias) LoadMany(p.bias_type, p.bias, batch * p.bias_stride, 1, m, bias.data());
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < m; ++i) {
        float value = p.alpha * sums[j * m + i];
        if (p.beta != 0) {
          value += p.beta * Load(p.output, p.c_data, batch * p.c.stride + j * p.c.ld + i);
        }
        value = Activate(p.activation, value + bias[i]);
        Store(p.output, p.d_data, batch * p.d.stride + j * p.d.ld + i, value);
        nan = nan || std::isnan(value);
      }
    }
  }
  return nan;
}

bool IsAligned(const Product& p) {
  const int64_t depth = static_cast<int64_t>(p.transpose_a ? p.a.rows : p.a.cols);
  const auto in = static_cast<int64_t>(SizeOf(p.input)),
             out = static_cast<int64_t>(SizeOf(p.output));
  return depth * in % 16 == 0 && p.a.ld * in % 16 == 0 && p.b.ld * in % 16 == 0 &&
         p.d.ld * out % 16 == 0;
}

cublasStatus_t CheckHandle(Runtime& runtime, LtObjects& all, cublasLtHandle_t handle) {
  const LtHandle* found = all.handles.Find(runtime, handle);
  if (found == nullptr) {
    return LtMisuse(runtime, "cuBLASLt", "no such handle", CUBLAS_STATUS_NOT_INITIALIZED);
  }
  if (found->device != runtime.device()) {
    return LtMisuse(runtime, "cuBLASLt", "the handle is another device's");
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc, cublasLtMatrixLayout_t Adesc,
    cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
    cublasLtMatmulPreference_t preference, int requestedAlgoCount,
    cublasLtMatmulHeuristicResult_t heuristicResultsArray[], int* returnAlgoCount) {
  return LtCall("cublasLtMatmulAlgoGetHeuristic", [&](Runtime& runtime, LtObjects& all) {
    if (returnAlgoCount == nullptr || heuristicResultsArray == nullptr || requestedAlgoCount < 1) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    *returnAlgoCount = 0;
    cublasStatus_t status = CheckHandle(runtime, all, lightHandle);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const MatmulPreference* wishes = all.preferences.Find(runtime, preference);
    if (wishes == nullptr) {
      return LtMisuse(runtime, "cublasLtMatmulAlgoGetHeuristic", "no such preference");
    }
    Product p;
    status = Describe(runtime, all, operationDesc, {Adesc, Bdesc, Cdesc, Ddesc}, p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    // Every other one splits the depth where there is room for the partial sums.
    const size_t split = std::min(kLargestWorkspace, (p.d.rows * p.d.cols * 4 + 255) / 256 * 256);
    uint64_t alignments = 0;
    for (int i = 0; i < 4; ++i) {
      alignments |= uint64_t{std::min(wishes->alignment[i], uint32_t{256})} << (16 * i);
    }
    for (size_t i = 0; i < runtime.settings.algorithm_us.size(); ++i) {
      const size_t workspace = i % 2 == 0 && split <= wishes->max_workspace ? split : 0;
      if (*returnAlgoCount == requestedAlgoCount) break;
      cublasLtMatmulHeuristicResult_t& result = heuristicResultsArray[(*returnAlgoCount)++];
      result = {};
      result.algo = {{kMagic, Fingerprint(p), workspace, alignments,
                      static_cast<uint64_t>(runtime.device()), i}};
      result.workspaceSize = workspace;
      result.state = CUBLAS_STATUS_SUCCESS;
      result.wavesCount = 1;
    }
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc,
                              const void* alpha, const void* A, cublasLtMatrixLayout_t Adesc,
                              const void* B, cublasLtMatrixLayout_t Bdesc, const void* beta,
                              const void* C, cublasLtMatrixLayout_t Cdesc, void* D,
                              cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspaceSizeInBytes, cudaStream_t stream) {
  return LtCall("cublasLtMatmul", [&](Runtime& runtime, LtObjects& all) {
    if (runtime.Check(kPlain) != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    cublasStatus_t status = CheckHandle(runtime, all, lightHandle);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    Product p;
    status = Describe(runtime, all, computeDesc, {Adesc, Bdesc, Cdesc, Ddesc}, p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    p.alpha = *static_cast<const float*>(alpha);
    p.beta = *static_cast<const float*>(beta);
    p.a_data = A;
    p.b_data = B;
    p.c_data = C;
    p.d_data = D;
    status = CheckAlgorithm(runtime, p, algo, workspace, workspaceSizeInBytes);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    std::vector<Operand> operands;
    status = CheckOperands(runtime, p, operands);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const size_t number = algo == nullptr ? 0 : algo->data[5];
    const uint64_t time = runtime.settings.algorithm_us.at(number);
    if (time == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    const size_t scratch = algo == nullptr ? workspaceSizeInBytes : algo->data[2];
    if (scratch > 0) {
      const Operand used{"the workspace", workspace, scratch};
      if (!FindStray(runtime, {used}, runtime.device()).empty() ||
          std::any_of(operands.begin(), operands.end(),
                      [&](const Operand& operand) { return Overlap(operand, used); })) {
        return LtMisuse(runtime, "cublasLtMatmul", "the workspace is no memory of its own");
      }
    }
    const auto target = runtime.FindStream(stream);
    if (target == nullptr || target->device != runtime.device()) {
      return LtMisuse(runtime, "cublasLtMatmul", "no stream of the current device");
    }
    const cudaError_t error =
        EnqueueLibraryWork(runtime, target, "cublasLtMatmul", operands, workspace, scratch,
                           [&runtime, p, number, time] {
                             ++runtime.counters.products;
                             auto& numbered = runtime.counters.products_of_algorithm;
                             numbered.resize(std::max(numbered.size(), number + 1));
                             ++numbered[number];
                             runtime.clock_us += time - 1;
                             runtime.counters.unaligned_products += IsAligned(p) ? 0 : 1;
                             runtime.counters.nan_products += RunProduct(p) ? 1 : 0;
                           });
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
  });
}
