// What every image tower does alike: it keeps the prepared pixels and the embeddings, cuts many
// pictures into batches, and runs its forward pass as a Graph, one per size of batch.
//
// Ownership: borrows backend and workspace. Used by the Backend's thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "models/config/config.h"
#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"

namespace cliptag {

class PreparedEncoder : public ImageEncoder {
 public:
  Status Setup(int max_batch) final;
  int max_batch() const final { return max_batch_; }
  Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec) final;
  Result<Matrix> EncodePrepared(int batch) final;
  Status Encode(std::span<const FrameView> frames, const PreprocessSpec& spec,
                float* embeddings) final;

 protected:
  PreparedEncoder(Backend& backend, Workspace& workspace, const ModelConfig& config)
      : backend_(backend),
        workspace_(workspace),
        spec_(config.preprocess),
        embed_dim_(config.embed_dim) {}

  // Columns of a patch's row, 3 * patch * patch, and with zeros up to the next eight, so that rows
  // of 16-bit elements begin at multiples of 16 bytes, as tensor cores want them. A patch of 14 has
  // 588, a pixel 3.
  int64_t PatchColumns() const { return int64_t{3} * spec_.patch * spec_.patch; }
  int64_t PaddedColumns() const { return (PatchColumns() + 7) / 8 * 8; }
  // The prepared rows of that many pictures: (batch * patches, PaddedColumns).
  Matrix Pixels(int64_t batch) const;

  // Bytes that a forward pass of that many pictures carves from the workspace.
  virtual size_t WorkspaceBytes(int max_batch) const = 0;
  // Sizes and plans what else passes of 1..max_batch pictures need.
  virtual Status SetupBatches(int max_batch) = 0;
  // From the prepared pixels to the unit embeddings in `out`: (batch, embed_dim) f32, by operations
  // that a Graph may hold alone.
  virtual Status Forward(int batch, const Matrix& out) = 0;

  Backend& backend_;
  Workspace& workspace_;
  const PreprocessSpec spec_;
  const int64_t embed_dim_;

 private:
  int64_t Patches() const { return int64_t{spec_.size / spec_.patch} * (spec_.size / spec_.patch); }
  // The graph of Forward for that batch; a new one when the workspace has moved.
  Graph& GraphOf(int batch);

  int max_batch_ = 0;
  int prepared_ = 0;                    // frames in pixels_
  std::unique_ptr<Memory> pixels_;      // see Pixels
  std::unique_ptr<Memory> embeddings_;  // (max_batch, embed_dim) f32
  const void* graph_workspace_ = nullptr;
  std::vector<std::unique_ptr<Graph>> graphs_;  // by batch - 1
};

}  // namespace cliptag
