#include "models/encoders/blocks/prepared_encoder.h"

#include <algorithm>
#include <string>

namespace cliptag {

Matrix PreparedEncoder::Pixels(int64_t batch) const {
  return {pixels_->data(), backend_.compute_type(), batch * Patches(), PaddedColumns(),
          PaddedColumns()};
}

Status PreparedEncoder::Setup(int max_batch) {
  if (max_batch < 1 || max_batch > 4096) {
    return InvalidArgument("A batch of " + std::to_string(max_batch) +
                           " pictures is not possible; 1 to 4096 are.");
  }
  max_batch_ = prepared_ = 0;  // stays so on error
  CLIPTAG_RETURN_IF_ERROR(workspace_.Reserve(WorkspaceBytes(max_batch)));
  const size_t bytes = static_cast<size_t>(max_batch * Patches() * PaddedColumns()) *
                       SizeOf(backend_.compute_type());
  CLIPTAG_ASSIGN_OR_RETURN(pixels_, backend_.Allocate(bytes));
  // What Preprocess does not write, beyond a row's columns, must be zero. And a benchmark may
  // encode before anything was prepared: mean grey, not whatever was in memory.
  const std::vector<char> zeros(bytes, 0);
  CLIPTAG_RETURN_IF_ERROR(backend_.CopyFromHost(zeros.data(), bytes, pixels_->data()));
  CLIPTAG_RETURN_IF_ERROR(backend_.Sync());
  CLIPTAG_ASSIGN_OR_RETURN(embeddings_, backend_.Allocate(max_batch * embed_dim_ * sizeof(float)));
  graphs_.clear();  // what they run on is gone
  CLIPTAG_RETURN_IF_ERROR(SetupBatches(max_batch));
  max_batch_ = prepared_ = max_batch;
  return {};
}

Status PreparedEncoder::Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec) {
  if (frames.empty() || frames.size() > static_cast<size_t>(max_batch_)) {
    return InvalidArgument("The image encoder was set up for 1 to " + std::to_string(max_batch_) +
                           " pictures at once, not " + std::to_string(frames.size()) + ".");
  }
  if (spec.size != spec_.size || spec.patch != spec_.patch) {
    return InvalidArgument("The model looks at pictures of " + std::to_string(spec_.size) +
                           " pixels in patches of " + std::to_string(spec_.patch) + ", not " +
                           std::to_string(spec.size) + " in " + std::to_string(spec.patch) + ".");
  }
  PreprocessSpec resolved = spec;
  if (resolved.fit == Fit::kModel) resolved.fit = spec_.fit;
  Matrix out = Pixels(static_cast<int64_t>(frames.size()));
  out.cols = PatchColumns();  // the columns beyond stay zero
  prepared_ = 0;
  CLIPTAG_RETURN_IF_ERROR(backend_.Preprocess(frames, resolved, out));
  prepared_ = static_cast<int>(frames.size());
  return {};
}

Result<Matrix> PreparedEncoder::EncodePrepared(int batch) {
  if (batch < 1 || batch > prepared_) {
    return InvalidArgument(std::to_string(batch) + " pictures cannot be encoded: " +
                           std::to_string(prepared_) + " are prepared.");
  }
  const Matrix out{embeddings_->data(), DType::kF32, batch, embed_dim_, embed_dim_};
  CLIPTAG_RETURN_IF_ERROR(GraphOf(batch).Run([&] { return Forward(batch, out); }));
  return out;
}

Graph& PreparedEncoder::GraphOf(int batch) {
  if (graph_workspace_ != workspace_.data()) graphs_.clear();
  graph_workspace_ = workspace_.data();
  graphs_.resize(static_cast<size_t>(max_batch_));
  std::unique_ptr<Graph>& graph = graphs_[static_cast<size_t>(batch) - 1];
  if (!graph) graph = backend_.CreateGraph();
  return *graph;
}

Status PreparedEncoder::Encode(std::span<const FrameView> frames, const PreprocessSpec& spec,
                               float* embeddings) {
  if (max_batch_ == 0) return InvalidArgument("The image encoder has not been set up.");
  const auto batch_from = [&](size_t first) {
    return frames.subspan(first, std::min(frames.size() - first, static_cast<size_t>(max_batch_)));
  };
  if (frames.empty()) return {};
  CLIPTAG_RETURN_IF_ERROR(Preprocess(batch_from(0), spec));
  for (size_t first = 0; first < frames.size();) {
    const size_t next = first + batch_from(first).size();
    CLIPTAG_ASSIGN_OR_RETURN(const Matrix rows, EncodePrepared(static_cast<int>(next - first)));
    // Before the results are waited for: a device computes while its next frames are brought.
    if (next < frames.size()) CLIPTAG_RETURN_IF_ERROR(Preprocess(batch_from(next), spec));
    CLIPTAG_RETURN_IF_ERROR(backend_.CopyToHost(rows, embeddings + first * embed_dim_));
    first = next;
  }
  return {};
}

}  // namespace cliptag
