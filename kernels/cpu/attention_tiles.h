// Tile sizes of the CPU attention kernel, and with them the layout of its scratch memory.
//
// A task walks its queries in blocks of kQueryBlock and, for each, the keys in blocks of kKeyBlock,
// keeping the softmax online. 64 x 64 keeps K^T, V, Q, O of a head of 64 (4 x 16 KiB) and the
// scores within L2, close to L1; 128 keys gained nothing and doubled it, 32 doubled the share of
// rescaling.
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

}  // namespace cliptag::attention_tiles
