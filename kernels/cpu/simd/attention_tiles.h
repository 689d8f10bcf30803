// Tile sizes of the CPU attention kernels, and the layout of their scratch memory.
//
// A task goes through its queries in blocks of kQueryBlock and, for each, through the keys in
// blocks of kKeyBlock, with an online softmax. With 64 x 64, K^T, V, Q and O of a head of 64
// (4 x 16 KiB) and the scores fit L2 and are close to L1; 128 keys gained nothing and doubled it,
// 32 doubled the share of rescaling.
#pragma once

#include <cstdint>

namespace cliptag::attention_tiles {

constexpr int kQueryBlock = 64;
constexpr int kKeyBlock = 64;
constexpr int kQueryRows = 4;  // queries per register tile; divides kQueryBlock

constexpr int64_t PaddedDim(int head_dim) { return (int64_t{head_dim} + 15) / 16 * 16; }

// Offsets in floats: q (block, dim), K^T (dim, keys), v (keys, dim), o (block, dim), scores
// (rows, keys), running maximum and sum (block each).
constexpr int64_t QOffset(int) { return 0; }
constexpr int64_t KOffset(int dim) { return QOffset(dim) + kQueryBlock * PaddedDim(dim); }
constexpr int64_t VOffset(int dim) { return KOffset(dim) + kKeyBlock * PaddedDim(dim); }
constexpr int64_t OOffset(int dim) { return VOffset(dim) + kKeyBlock * PaddedDim(dim); }
constexpr int64_t ScoreOffset(int dim) { return OOffset(dim) + kQueryBlock * PaddedDim(dim); }
constexpr int64_t MaximumOffset(int dim) { return ScoreOffset(dim) + kQueryRows * kKeyBlock; }
constexpr int64_t SumOffset(int dim) { return MaximumOffset(dim) + kQueryBlock; }
constexpr int64_t Total(int dim) { return SumOffset(dim) + kQueryBlock; }

// The kernel for bf16 pairs. All f32: o (block, dim), running maximum and sum (block each), scores
// (rows, keys), factors (rows). Then bf16 pairs, heads padded to 32: K^T (dim / 2, keys, 2), V
// (keys / 2, dim, 2), probabilities (rows, keys). 128 queries share a copy of K and V; 64 x 64 sums
// of a head of 64 in f32 (32 KiB) and both copies (8 KiB each) fit L2, the copies and a row tile
// fit L1.
namespace bf16 {

constexpr int kQueryBlock = 128;
constexpr int kKeyBlock = 64;
constexpr int kQueryRows = 6;  // 24 vectors of sums, 4 of operands, a broadcast

constexpr int64_t PaddedTo(int unit, int head_dim) {
  return (int64_t{head_dim} + unit - 1) / unit * unit;
}
constexpr int64_t OOffset(int) { return 0; }
constexpr int64_t MaximumOffset(int dim) { return OOffset(dim) + kQueryBlock * PaddedTo(16, dim); }
constexpr int64_t SumOffset(int dim) { return MaximumOffset(dim) + kQueryBlock; }
constexpr int64_t ScoreOffset(int dim) { return SumOffset(dim) + kQueryBlock; }
constexpr int64_t RescaleOffset(int dim) { return ScoreOffset(dim) + kQueryRows * kKeyBlock; }
constexpr int64_t KOffset(int dim) { return RescaleOffset(dim) + 16; }
constexpr int64_t VOffset(int dim) { return KOffset(dim) + PaddedTo(32, dim) / 2 * kKeyBlock; }
constexpr int64_t POffset(int dim) { return VOffset(dim) + kKeyBlock / 2 * PaddedTo(32, dim); }
constexpr int64_t Total(int dim) { return POffset(dim) + kQueryRows * kKeyBlock / 2; }

}  // namespace bf16
}  // namespace cliptag::attention_tiles

namespace cliptag {

// Floats of scratch that an AttentionTask needs, for either kernel.
constexpr int64_t AttentionScratchFloats(int head_dim) {
  const int64_t floats = attention_tiles::Total(head_dim);
  const int64_t pairs = attention_tiles::bf16::Total(head_dim);
  return floats > pairs ? floats : pairs;
}

}  // namespace cliptag
