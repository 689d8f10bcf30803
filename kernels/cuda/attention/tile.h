// The tile sizes of the fused attention (kernels/cuda/attention/attention.cuh) for each head size,
// as constants for the kernel, its launch and the tests. Host and device; no CUDA header.
//
// A warp has `row_tiles` times 16 queries of its own. A block is one to kAttentionMaxWarps warps,
// which share tiles of `keys` keys and values. Token counts of vision transformers are a square
// plus one, so blocks of a fixed number of queries waste much: 257 queries in blocks of 64 are 320.
// Therefore the number of warps fits the queries (PlanAttention): with 32 queries per warp, 257 are
// three blocks of three warps (288), 197 two of four (256), 577 five of four (640), 50 one of two
// (64). The tail of the keys is processed in steps of 16, not as a whole tile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cliptag::cuda {

struct AttentionTile {
  int row_tiles;   // of 16 queries, of a warp
  int keys;        // of a tile; two tiles of K and two of V are in shared memory
  int min_blocks;  // resident on a multiprocessor: what bounds the registers of a thread
};

inline constexpr int kAttentionMaxWarps = 4;

constexpr bool IsAttentionHeadDim(int head_dim) {
  return head_dim == 32 || head_dim == 64 ||
         (head_dim >= 72 && head_dim <= 112 && head_dim % 8 == 0) || head_dim == 128;
}

// With two row tiles each fragment that ldmatrix loads is used twice. With one, every two m16n8k16
// read 512 bytes of shared memory: four cycles at a multiprocessor's 128 bytes a cycle, about as
// long as the tensor cores take for the two. Two cost registers: sums (row_tiles * head_dim / 2),
// scores (row_tiles * keys / 2), queries (row_tiles * head_dim / 4); so fewer warps are resident to
// hide each other's latencies. With more keys per tile there are fewer barriers and maxima per key.
//
// Measured on an H200 (2026-11-26), head size 64, microseconds; tokens x batch of 12, 12, 16 and 16
// heads:
//                    50x1  50x64  197x1  197x8  197x64  257x1  257x8  257x64  577x1  577x8  577x64
//   {1, 64, 4}        3.3   11.8    6.4   10.4    56.3    7.7   23.1   110.5   16.7   64.5   440.5
//   {2, 32, 3}        4.7   10.1    9.9   12.6    54.5   12.1   18.1   101.8   23.3   64.6   400.4
//   {2, 64, 2}        4.2   12.9    8.1   11.2    58.4   10.2   24.0   133.7   18.1   64.6   413.7
//   {1, 32, 5}        3.8   11.2    8.4   11.7    60.3   10.4   19.0   120.2   22.8   65.6   479.7
//   cuDNN 9 there     5.9   18.1    7.3   12.4    46.5    9.0   19.6   117.5   12.3   41.7   293.3
// So two row tiles if there is enough work to fill the GPU, else one. Head size 80, 16 heads, 257
// tokens at batch 1, 8 and 64:
//   {1, 64, 3}   9.2  26.4  154.7
//   {1, 32, 4}  11.2  31.1  151.9
//   {2, 32, 2}  14.1  33.0  190.8
//   cuDNN       11.4  25.2  157.7
// The other sizes were not measured and follow these. Nothing spills: tests/cuda/compile_check
// fails on spills, and its table.md has all sizes and architectures.
constexpr bool HasTwoRowTiles(int head_dim) { return head_dim <= 64; }
constexpr AttentionTile AttentionTileFor(int head_dim, int row_tiles) {
  if (row_tiles == 2) return {2, 32, 3};
  if (head_dim <= 64) return {1, 64, 4};
  if (head_dim <= 88) return {1, 64, 3};
  return {1, 32, 2};
}

// The row tiles of a warp. (Causal attention always has one: two would need too many registers.)
// `multiprocessors`: of the GPU.
constexpr int RowTilesFor(int head_dim, int64_t q_tokens, int64_t heads, int64_t batch,
                          int multiprocessors) {
  constexpr int64_t kWarpsToFill = 7;  // of a multiprocessor
  const int64_t warps = (q_tokens + 31) / 32 * heads * batch;
  return HasTwoRowTiles(head_dim) && warps >= kWarpsToFill * multiprocessors ? 2 : 1;
}

// Elements from row to row of a tile in shared memory. ldmatrix reads eight rows at once, 16 bytes
// of each. The 32 banks are eight units of 16 bytes, so no two of these rows may start in the same
// unit modulo 8. With an odd number u of units per row, r * u mod 8 is different for the eight r:
// no bank conflict, at the cost of one unit of padding if head_dim / 8 is even. (A swizzle would
// save the unit but needs a power of two, which 72 to 112 are not.)
constexpr int AttentionRowElements(int head_dim) { return (head_dim / 8 | 1) * 8; }

// Dynamic shared memory of a block: two tiles of K, two of V. Head size 64: 36,864 bytes, or 18,432
// with two row tiles; 80: 45,056; 128: 34,816.
constexpr size_t AttentionSharedBytes(int head_dim, int row_tiles) {
  return size_t{4} * static_cast<size_t>(AttentionTileFor(head_dim, row_tiles).keys) *
         static_cast<size_t>(AttentionRowElements(head_dim)) * 2;
}

struct AttentionPlan {
  int blocks = 0;  // of queries
  int warps = 0;   // of a block
};

// The fewest blocks, then the fewest warps of each.
constexpr AttentionPlan PlanAttention(int q_tokens, int row_tiles) {
  const int rows = 16 * row_tiles;
  const int warps = (q_tokens + rows - 1) / rows;  // that have a query
  const int blocks = (warps + kAttentionMaxWarps - 1) / kAttentionMaxWarps;
  return {blocks, (warps + blocks - 1) / blocks};
}

}  // namespace cliptag::cuda
