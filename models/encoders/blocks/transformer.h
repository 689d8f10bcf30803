// The stack of transformer blocks that both of CLIP's towers are, on a Backend: pre-norm ones, and
// EVA's kinds of them, one of which has its norms after its parts.
//
// Only one token of each sequence is looked at in the end (the class token, the end of the text),
// so the last block computes keys and values for all tokens but everything else for that one alone,
// unless the tower averages over its tokens.
//
// Ownership: borrows the Backend; owns its packed weights. Used by the Backend's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/blocks/block_tensors.h"
#include "models/encoders/blocks/norm.h"
#include "models/encoders/blocks/workspace.h"

namespace cliptag {

class Transformer {
 public:
  // What a run needs beside the residual stream; see Plan.
  struct Scratch {
    // (rows, width) compute_type: normalised input, then attention's output. With post_norm the
    // input is the residual stream, rounded, and whoever runs the blocks puts it there.
    Matrix norm;
    Matrix wide;         // (rows, max(3 width, mlp)) compute_type: Q, K, V, then the MLP's middle
    Matrix pooled;       // (batch, width) f32: the residual stream of the pooled tokens
    Matrix pooled_norm;  // (batch, width) compute_type
    Matrix pooled_wide;  // (batch, max(width, mlp)) compute_type
  };
  struct Sequences {
    int batch = 0, tokens = 0;
    bool causal = false;
    // Of the pooled run, in backend memory, one per sequence: the row of the pooled token, and how
    // many keys it sees (null = all).
    const int32_t* pooled_rows = nullptr;
    const int32_t* pooled_lengths = nullptr;
    // Of the other blocks, likewise: how many leading keys a sequence's tokens see (null = all).
    const int32_t* lengths = nullptr;
    // (tokens, head_dim) f32, see Backend::Rope; no data without. Pooled tokens are not turned.
    Matrix angles;
  };

  // `pooled`: the last block is for one token of each sequence only. `precise`: no weight is
  // multiplied as bytes, whatever the precision.
  static Result<std::unique_ptr<Transformer>> Load(Backend& backend,
                                                   const TransformerConfig& config,
                                                   const std::vector<BlockTensors>& blocks,
                                                   bool pooled, bool precise);

  // Plans the products of a run over batch * tokens rows.
  Status Prepare(int batch, int tokens) const;
  Scratch Plan(Arena* arena, int64_t rows, int64_t batch) const;

  // Runs all blocks. `x`: (batch * tokens, width) f32, the residual stream, changed in place. The
  // result is x itself, or scratch.pooled if loaded as `pooled`.
  Result<Matrix> Run(const Matrix& x, const Sequences& sequences, const Scratch& scratch) const;

 private:
  struct Block {
    Norm norm1, norm2;
    Norm attention_norm, mlp_norm;          // with inner_norms
    std::unique_ptr<Linear> qkv;            // or, in a pooled last block,
    std::unique_ptr<Linear> q, kv;          // these two
    std::unique_ptr<Linear> out, fc1, fc2;  // fc1 of a gated MLP: gates, then values
  };

  Transformer(Backend& backend, const TransformerConfig& config)
      : backend_(backend), config_(config) {}
  // Columns of the MLP's middle: a gated one's halves are whole vectors, with zeros at their ends.
  int64_t MiddleColumns() const;
  Result<Block> LoadBlock(const BlockTensors& tensors, bool pooled);
  Status LoadGatedMlp(const BlockTensors& tensors, Block* block);
  Result<std::unique_ptr<Linear>> Pack(LinearSpec spec);
  Status RunBlock(const Block& block, const Matrix& x, const Sequences& s,
                  const Scratch& scratch) const;
  Status RunPooledBlock(const Block& block, const Matrix& x, const Sequences& s,
                        const Scratch& scratch) const;
  // What follows attention, whose answers are in `norm`: its projection and the MLP, added to `x`.
  // `wide` has room for the MLP's middle.
  Status FinishBlock(const Block& block, const Matrix& x, const Matrix& norm,
                     const Matrix& wide) const;
  // The MLP's middle, made in `wide` of the input in `norm`.
  Result<Matrix> RunMiddle(const Block& block, const Matrix& norm, const Matrix& wide) const;

  Backend& backend_;
  const TransformerConfig config_;
  std::vector<Block> blocks_;
  bool pooled_ = false, precise_ = false;
};

}  // namespace cliptag
