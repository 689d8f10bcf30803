#include "kernels/checks.h"

#include "kernels/base/concat.h"

namespace cliptag {
namespace {

constexpr const char* kTypeNames[] = {"f32", "f16", "bf16", "i32"};

const char* Name(DType type) { return kTypeNames[static_cast<int>(type)]; }

std::string Shape(const Matrix& m) { return Concat(m.rows, "x", m.cols, " ", Name(m.type)); }

// `what` names the operation and the argument: "Gemm: x". It is a const char*, so that a check that
// passes allocates nothing.
Status CheckMatrix(const char* what, const Matrix& m) {
  if (m.rows < 1 || m.cols < 1) return InvalidArgument(Concat(what, " is empty (", Shape(m), ")."));
  if (m.stride < m.cols) {
    return InvalidArgument(
        Concat(what, " has rows of ", m.cols, " elements but a stride of ", m.stride, "."));
  }
  if (!m.data) return InvalidArgument(Concat(what, " has no memory."));
  return {};
}

Status CheckType(const char* what, const Matrix& m, DType one, DType other) {
  if (m.type == one || m.type == other) return {};
  return InvalidArgument(Concat(what, " is ", Name(m.type), " but should be ", Name(one),
                                one == other ? "" : " or ", one == other ? "" : Name(other), "."));
}

// Also of one of these types.
Status CheckMatrix(const char* what, const Matrix& m, DType one, DType other) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix(what, m));
  return CheckType(what, m, one, other);
}
Status CheckMatrix(const char* what, const Matrix& m, DType type) {
  return CheckMatrix(what, m, type, type);
}

Status CheckShape(const char* what, const Matrix& m, int64_t rows, int64_t cols, DType one,
                  DType other) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix(what, m));
  if (m.rows != rows || m.cols != cols) {
    return InvalidArgument(Concat(what, " is ", Shape(m), " but should be ", rows, "x", cols, "."));
  }
  return CheckType(what, m, one, other);
}
Status CheckShape(const char* what, const Matrix& m, int64_t rows, int64_t cols, DType type) {
  return CheckShape(what, m, rows, cols, type, type);
}

Status CheckPointer(const char* what, const void* p) {
  if (p) return {};
  return InvalidArgument(Concat(what, " is missing."));
}

}  // namespace

Result<LinearShape> CheckLinear(const LinearSpec& spec) {
  if (spec.weights.empty()) return InvalidArgument("PackLinear: no weight was given.");
  if (!spec.biases.empty() && spec.biases.size() != spec.weights.size()) {
    return InvalidArgument(Concat("PackLinear: ", spec.weights.size(), " weights but ",
                                  spec.biases.size(), " biases."));
  }
  LinearShape shape;
  for (size_t i = 0; i < spec.weights.size(); ++i) {
    const HostTensor& weight = spec.weights[i];
    const std::string what = Concat("PackLinear: weight ", i);
    CLIPTAG_RETURN_IF_ERROR(CheckPointer(what.c_str(), weight.data));
    if (weight.type == DType::kI32) return InvalidArgument(what + " is i32, not floating point.");
    if (weight.shape.size() < 2 || weight.elements() < 1) {
      return InvalidArgument(what + " is not a matrix.");
    }
    const int64_t out = spec.transposed ? weight.shape.back() : weight.shape.front();
    const int64_t in = weight.elements() / out;
    if (i > 0 && in != shape.in) {
      return InvalidArgument(
          Concat(what, " has ", in, " inputs but the first has ", shape.in, "."));
    }
    shape.in = in;
    shape.out += out;
    if (spec.biases.empty()) continue;
    const HostTensor& bias = spec.biases[i];
    if (!bias.data || bias.type == DType::kI32 || bias.elements() != out) {
      return InvalidArgument(
          Concat("PackLinear: bias ", i, " should have ", out, " floating-point values."));
    }
  }
  return shape;
}

Status CheckUpload(const HostTensor& tensor, DType type) {
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("Upload: the tensor's data", tensor.data));
  if (tensor.elements() < 1) return InvalidArgument("Upload: the tensor is empty.");
  if ((tensor.type == DType::kI32) != (type == DType::kI32)) {
    return InvalidArgument(
        Concat("Upload: cannot convert ", Name(tensor.type), " to ", Name(type), "."));
  }
  return {};
}

Status CheckPreprocessOut(const Matrix& out, DType compute_type) {
  return CheckType("Preprocess: out", out, compute_type, compute_type);
}

Status CheckGemm(const Matrix& x, const Linear& linear, bool accumulate, DType compute_type,
                 const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Gemm: x", x, compute_type));
  if (x.cols != linear.in()) {
    return InvalidArgument(
        Concat("Gemm: x has ", x.cols, " columns but the weight has ", linear.in(), " inputs."));
  }
  return CheckShape("Gemm: out", out, x.rows, linear.out(), accumulate ? DType::kF32 : compute_type,
                    DType::kF32);
}

Status CheckLayerNorm(const Matrix& x, const float* gamma, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("LayerNorm: x", x, compute_type, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("LayerNorm: gamma", gamma));
  return CheckShape("LayerNorm: out", out, x.rows, x.cols, compute_type, x.type);
}

Status CheckAttention(const AttentionArgs& a, DType compute_type) {
  if (a.batch < 1 || a.q_tokens < 1 || a.kv_tokens < 1 || a.heads < 1 || a.head_dim < 1) {
    return InvalidArgument("Attention: batch, tokens, heads and head size must be positive.");
  }
  if (a.causal && a.q_tokens != a.kv_tokens) {
    return InvalidArgument(Concat("Attention: causal needs as many queries as keys, not ",
                                  a.q_tokens, " and ", a.kv_tokens, "."));
  }
  const int64_t width = int64_t{a.heads} * a.head_dim;
  const int64_t q_rows = int64_t{a.batch} * a.q_tokens, kv_rows = int64_t{a.batch} * a.kv_tokens;
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: q", a.q, q_rows, width, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: k", a.k, kv_rows, width, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: v", a.v, kv_rows, width, compute_type));
  return CheckShape("Attention: out", a.out, q_rows, width, compute_type);
}

Status CheckRope(const Matrix& x, const Matrix& angles, DType compute_type) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Rope: x", x, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Rope: angles", angles, DType::kF32));
  if (angles.cols % 2 == 0 && x.cols % angles.cols == 0 && x.rows % angles.rows == 0) return {};
  return InvalidArgument(Concat("Rope: x is ", Shape(x), " but should be whole sequences of heads ",
                                "of ", Shape(angles), ", in pairs."));
}

Status CheckGatedSilu(const Matrix& x, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("GatedSilu: out", out, compute_type));
  return CheckShape("GatedSilu: x", x, out.rows, 2 * out.cols, compute_type);
}

Status CheckAddLayerNorm(const Matrix& x, const float* gamma, DType compute_type,
                         const Matrix& residual, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("AddLayerNorm: x", x, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("AddLayerNorm: gamma", gamma));
  CLIPTAG_RETURN_IF_ERROR(
      CheckShape("AddLayerNorm: residual", residual, x.rows, x.cols, DType::kF32));
  return CheckShape("AddLayerNorm: out", out, x.rows, x.cols, compute_type);
}

Status CheckAssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                           int batch, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(
      CheckMatrix("AssembleTokens: patches", patches, compute_type, DType::kF32));
  if (batch < 1 || patches.rows % batch != 0) {
    return InvalidArgument(Concat("AssembleTokens: ", patches.rows,
                                  " patch rows do not make a batch of ", batch, "."));
  }
  const int64_t tokens = patches.rows / batch + (class_token ? 1 : 0), width = patches.cols;
  CLIPTAG_RETURN_IF_ERROR(
      CheckShape("AssembleTokens: position", position, tokens, width, DType::kF32));
  return CheckShape("AssembleTokens: out", out, batch * tokens, width, DType::kF32, compute_type);
}

Status CheckEmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                        const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("EmbedTokens: ids", ids));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("EmbedTokens: table", table));
  if (table.type == DType::kI32) {
    return InvalidArgument("EmbedTokens: table is i32 but should hold floating-point numbers.");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("EmbedTokens: position", position, DType::kF32));
  if (tokens < 1 || tokens > position.rows || position.cols != table.cols) {
    return InvalidArgument(Concat("EmbedTokens: position is ", Shape(position), " but should have ",
                                  tokens, " rows or more of ", table.cols, "."));
  }
  return CheckShape("EmbedTokens: out", out, out.rows, table.cols, DType::kF32);
}

Status CheckGatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("GatherRows: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("GatherRows: indices", indices));
  return CheckShape("GatherRows: out", out, out.rows, x.cols, x.type);
}

Status CheckAverageTokens(const Matrix& x, int skip, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("AverageTokens: x", x, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AverageTokens: out", out, out.rows, x.cols, DType::kF32));
  if (x.rows % out.rows == 0 && skip >= 0 && skip < x.rows / out.rows) return {};
  return InvalidArgument(Concat("AverageTokens: ", x.rows, " rows are not ", out.rows,
                                " sequences of more than ", skip, " tokens."));
}

Status CheckNormalizeRows(const Matrix& x) {
  return CheckMatrix("NormalizeRows: x", x, DType::kF32);
}

Status CheckSimilarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Similarity: embeddings", embeddings, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Similarity: bank", bank, DType::kF32));
  if (embeddings.cols != bank.cols) {
    return InvalidArgument(Concat("Similarity: embeddings have ", embeddings.cols,
                                  " dimensions but the bank has ", bank.cols, "."));
  }
  return CheckShape("Similarity: cosines", cosines, embeddings.rows, bank.rows, DType::kF32);
}

Status CheckCopyToHost(const Matrix& x, const float* host) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("CopyToHost: x", x));
  return CheckPointer("CopyToHost: host", host);
}

Status CheckCopyFromHost(const void* host, size_t bytes, const void* device) {
  if (bytes == 0) return {};
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("CopyFromHost: host", host));
  return CheckPointer("CopyFromHost: device", device);
}

}  // namespace cliptag
