#include "kernels/checks.h"

#include <string>

namespace cliptag {
namespace {

const char* Name(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI32:
      return "i32";
  }
  return "unknown type";
}

std::string Shape(const Matrix& m) {
  return std::to_string(m.rows) + "x" + std::to_string(m.cols) + " " + Name(m.type);
}

// `what` names the operation and the argument: "Gemm: x". (Not a std::string: passing checks costs
// nothing, least of all an allocation.)
Status CheckMatrix(const char* what, const Matrix& m) {
  if (m.rows < 1 || m.cols < 1)
    return InvalidArgument(std::string(what) + " is empty (" + Shape(m) + ").");
  if (m.stride < m.cols) {
    return InvalidArgument(std::string(what) + " has rows of " + std::to_string(m.cols) +
                           " elements but a stride of " + std::to_string(m.stride) + ".");
  }
  if (!m.data) return InvalidArgument(std::string(what) + " has no memory.");
  return {};
}

Status CheckShape(const char* what, const Matrix& m, int64_t rows, int64_t cols) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix(what, m));
  if (m.rows != rows || m.cols != cols) {
    return InvalidArgument(std::string(what) + " is " + Shape(m) + " but should be " +
                           std::to_string(rows) + "x" + std::to_string(cols) + ".");
  }
  return {};
}

Status CheckType(const char* what, const Matrix& m, DType one, DType other) {
  if (m.type == one || m.type == other) return {};
  return InvalidArgument(std::string(what) + " is " + Name(m.type) + " but should be " + Name(one) +
                         (one == other ? "" : std::string(" or ") + Name(other)) + ".");
}

Status CheckFloat(const char* what, const Matrix& m) {
  if (m.type != DType::kI32) return {};
  return InvalidArgument(std::string(what) + " is i32 but should hold floating-point numbers.");
}

Status CheckPointer(const char* what, const void* p) {
  if (p) return {};
  return InvalidArgument(std::string(what) + " is missing.");
}

}  // namespace

Result<LinearShape> CheckLinear(const LinearSpec& spec) {
  if (spec.weights.empty()) return InvalidArgument("PackLinear: no weight was given.");
  if (!spec.biases.empty() && spec.biases.size() != spec.weights.size()) {
    return InvalidArgument("PackLinear: " + std::to_string(spec.weights.size()) + " weights but " +
                           std::to_string(spec.biases.size()) + " biases.");
  }
  LinearShape shape;
  for (size_t i = 0; i < spec.weights.size(); ++i) {
    const HostTensor& weight = spec.weights[i];
    const std::string what = "PackLinear: weight " + std::to_string(i);
    CLIPTAG_RETURN_IF_ERROR(CheckPointer(what.c_str(), weight.data));
    if (weight.type == DType::kI32) return InvalidArgument(what + " is i32, not floating point.");
    if (weight.shape.size() < 2 || weight.elements() < 1) {
      return InvalidArgument(what + " is not a matrix.");
    }
    // (out, in...), or (in..., out) when transposed.
    const int64_t out = spec.transposed ? weight.shape.back() : weight.shape.front();
    const int64_t in = weight.elements() / out;
    if (i > 0 && in != shape.in) {
      return InvalidArgument(what + " has " + std::to_string(in) + " inputs but the first has " +
                             std::to_string(shape.in) + ".");
    }
    shape.in = in;
    shape.out += out;
    if (spec.biases.empty()) continue;
    const HostTensor& bias = spec.biases[i];
    if (!bias.data || bias.type == DType::kI32 || bias.elements() != out) {
      return InvalidArgument("PackLinear: bias " + std::to_string(i) + " should have " +
                             std::to_string(out) + " floating-point values.");
    }
  }
  return shape;
}

Status CheckUpload(const HostTensor& tensor, DType type) {
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("Upload: the tensor's data", tensor.data));
  if (tensor.elements() < 1) return InvalidArgument("Upload: the tensor is empty.");
  if ((tensor.type == DType::kI32) != (type == DType::kI32)) {
    return InvalidArgument(std::string("Upload: cannot convert ") + Name(tensor.type) + " to " +
                           Name(type) + ".");
  }
  return {};
}

Status CheckPreprocessOut(const Matrix& out, DType compute_type) {
  return CheckType("Preprocess: out", out, compute_type, compute_type);
}

Status CheckGemm(const Matrix& x, const Linear& linear, bool accumulate, DType compute_type,
                 const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Gemm: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Gemm: x", x, compute_type, compute_type));
  if (x.cols != linear.in()) {
    return InvalidArgument("Gemm: x has " + std::to_string(x.cols) +
                           " columns but the weight has " + std::to_string(linear.in()) +
                           " inputs.");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Gemm: out", out, x.rows, linear.out()));
  return CheckType("Gemm: out", out, accumulate ? DType::kF32 : compute_type, DType::kF32);
}

Status CheckLayerNorm(const Matrix& x, const float* gamma, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("LayerNorm: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckType("LayerNorm: x", x, compute_type, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("LayerNorm: gamma", gamma));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("LayerNorm: out", out, x.rows, x.cols));
  return CheckType("LayerNorm: out", out, compute_type,
                   x.type == DType::kF32 ? DType::kF32 : compute_type);
}

Status CheckAttention(const AttentionArgs& a, DType compute_type) {
  if (a.batch < 1 || a.q_tokens < 1 || a.kv_tokens < 1 || a.heads < 1 || a.head_dim < 1) {
    return InvalidArgument("Attention: batch, tokens, heads and head size must be positive.");
  }
  if (a.causal && a.q_tokens != a.kv_tokens) {
    return InvalidArgument("Attention: causal needs as many queries as keys, not " +
                           std::to_string(a.q_tokens) + " and " + std::to_string(a.kv_tokens) +
                           ".");
  }
  const int64_t width = int64_t{a.heads} * a.head_dim;
  const int64_t q_rows = int64_t{a.batch} * a.q_tokens, kv_rows = int64_t{a.batch} * a.kv_tokens;
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: q", a.q, q_rows, width));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: k", a.k, kv_rows, width));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: v", a.v, kv_rows, width));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Attention: out", a.out, q_rows, width));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Attention: q", a.q, compute_type, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Attention: k", a.k, compute_type, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Attention: v", a.v, compute_type, compute_type));
  return CheckType("Attention: out", a.out, compute_type, compute_type);
}

Status CheckRope(const Matrix& x, const Matrix& angles, DType compute_type) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Rope: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Rope: x", x, compute_type, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Rope: angles", angles));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Rope: angles", angles, DType::kF32, DType::kF32));
  if (angles.cols % 2 == 0 && x.cols % angles.cols == 0 && x.rows % angles.rows == 0) return {};
  return InvalidArgument("Rope: x is " + Shape(x) + " but should be whole sequences of heads of " +
                         Shape(angles) + ", in pairs.");
}

Status CheckGatedSilu(const Matrix& x, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("GatedSilu: out", out));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("GatedSilu: x", x, out.rows, 2 * out.cols));
  CLIPTAG_RETURN_IF_ERROR(CheckType("GatedSilu: x", x, compute_type, compute_type));
  return CheckType("GatedSilu: out", out, compute_type, compute_type);
}

Status CheckAddLayerNorm(const Matrix& x, const float* gamma, DType compute_type,
                         const Matrix& residual, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("AddLayerNorm: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckType("AddLayerNorm: x", x, compute_type, compute_type));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("AddLayerNorm: gamma", gamma));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AddLayerNorm: residual", residual, x.rows, x.cols));
  CLIPTAG_RETURN_IF_ERROR(CheckType("AddLayerNorm: residual", residual, DType::kF32, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AddLayerNorm: out", out, x.rows, x.cols));
  return CheckType("AddLayerNorm: out", out, compute_type, compute_type);
}

Status CheckAssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                           int batch, DType compute_type, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("AssembleTokens: patches", patches));
  CLIPTAG_RETURN_IF_ERROR(CheckType("AssembleTokens: patches", patches, compute_type, DType::kF32));
  if (batch < 1 || patches.rows % batch != 0) {
    return InvalidArgument("AssembleTokens: " + std::to_string(patches.rows) +
                           " patch rows do not make a batch of " + std::to_string(batch) + ".");
  }
  const int64_t tokens = patches.rows / batch + (class_token ? 1 : 0);
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AssembleTokens: position", position, tokens, patches.cols));
  CLIPTAG_RETURN_IF_ERROR(
      CheckType("AssembleTokens: position", position, DType::kF32, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AssembleTokens: out", out, batch * tokens, patches.cols));
  return CheckType("AssembleTokens: out", out, DType::kF32, compute_type);
}

Status CheckEmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                        const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("EmbedTokens: ids", ids));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("EmbedTokens: table", table));
  CLIPTAG_RETURN_IF_ERROR(CheckFloat("EmbedTokens: table", table));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("EmbedTokens: position", position));
  CLIPTAG_RETURN_IF_ERROR(CheckType("EmbedTokens: position", position, DType::kF32, DType::kF32));
  if (tokens < 1 || tokens > position.rows || position.cols != table.cols) {
    return InvalidArgument("EmbedTokens: position is " + Shape(position) + " but should have " +
                           std::to_string(tokens) + " rows or more of " +
                           std::to_string(table.cols) + ".");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckShape("EmbedTokens: out", out, out.rows, table.cols));
  return CheckType("EmbedTokens: out", out, DType::kF32, DType::kF32);
}

Status CheckGatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("GatherRows: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckPointer("GatherRows: indices", indices));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("GatherRows: out", out, out.rows, x.cols));
  return CheckType("GatherRows: out", out, x.type, x.type);
}

Status CheckAverageTokens(const Matrix& x, int skip, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("AverageTokens: x", x));
  CLIPTAG_RETURN_IF_ERROR(CheckType("AverageTokens: x", x, DType::kF32, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckShape("AverageTokens: out", out, out.rows, x.cols));
  CLIPTAG_RETURN_IF_ERROR(CheckType("AverageTokens: out", out, DType::kF32, DType::kF32));
  if (x.rows % out.rows == 0 && skip >= 0 && skip < x.rows / out.rows) return {};
  return InvalidArgument("AverageTokens: " + std::to_string(x.rows) + " rows are not " +
                         std::to_string(out.rows) + " sequences of more than " +
                         std::to_string(skip) + " tokens.");
}

Status CheckNormalizeRows(const Matrix& x) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("NormalizeRows: x", x));
  return CheckType("NormalizeRows: x", x, DType::kF32, DType::kF32);
}

Status CheckSimilarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) {
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Similarity: embeddings", embeddings));
  CLIPTAG_RETURN_IF_ERROR(CheckMatrix("Similarity: bank", bank));
  CLIPTAG_RETURN_IF_ERROR(
      CheckType("Similarity: embeddings", embeddings, DType::kF32, DType::kF32));
  CLIPTAG_RETURN_IF_ERROR(CheckType("Similarity: bank", bank, DType::kF32, DType::kF32));
  if (embeddings.cols != bank.cols) {
    return InvalidArgument("Similarity: embeddings have " + std::to_string(embeddings.cols) +
                           " dimensions but the bank has " + std::to_string(bank.cols) + ".");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckShape("Similarity: cosines", cosines, embeddings.rows, bank.rows));
  return CheckType("Similarity: cosines", cosines, DType::kF32, DType::kF32);
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
