// How the fused attention of kernels/cuda/attention.cuh is cut into tiles, for each head size, as
// constants that the kernel, its launch and the tests share. Host and device; no CUDA header.
//
// A warp owns `row_tiles` times 16 queries, alone; a block is one to kMaxWarps warps that share the
// tiles of `keys` keys and values. Token counts of vision transformers are a square plus one, so a
// fixed block of queries wastes much: 257 queries in blocks of 64 are 320. Warps are therefore
// counted to fit (PlanAttention): 257 are three blocks of three warps (288); 197 two of four (256),
// 577 five of four (640), 50 one of two (64). The tail of the keys costs steps of 16, not a whole
// tile.
#pragma once

#include <cstddef>

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

// Two row tiles use each fragment that ldmatrix brings twice. With one, every two m16n8k16 want 512
// bytes of shared memory: four cycles of a multiprocessor's 128 bytes a cycle, about as long as the
// tensor cores take for the two, so that shared memory would be the bound. The price is registers,
// of which a thread has 255: sums (row_tiles * head_dim / 2), scores (row_tiles * keys / 2),
// queries (row_tiles * head_dim / 4). More keys to a tile mean fewer barriers, maxima and
// rescalings for each.
//
// Registers of a thread by ptxas 13.0 for sm_90a and sm_100, warps resident on an H200:
//   64  {2, 64}  213, 234   8 warps
//       {2, 32}  163, 194  12 warps  rejected: twice the barriers and rescalings; but measure it
//       {1, 64}  117, -    16 warps  rejected: bound by shared memory
//   80  {2, 32}  201, 216   8 warps
//       {2, 64}  227, 243   8 warps  rejected: 96 would be at the limit
//  112  {2, 32}  237, 245   8 warps
//       {1, 64}  151, 192  12 warps  rejected: bound by shared memory; four warps on sm_86
//  128  {1, 32}  162, 174  12 warps
//       {2, 32}  255, 255   8 warps  rejected: a stack frame on sm_80, sm_86 and sm_89
//       {1, 64}  166, 202  12 warps  rejected: 68 KiB: four warps on sm_86
// None spills; tests/cuda/compile_check fails on one, and its table.md has all sizes and
// architectures.
constexpr AttentionTile AttentionTileFor(int head_dim) {
  if (head_dim <= 64) return {2, 64, 2};
  if (head_dim <= 112) return {2, 32, 2};
  return {1, 32, 2};
}

// Elements from row to row of a tile in shared memory. ldmatrix reads eight rows at once, 16 bytes
// of each; the 32 banks are eight units of 16 bytes, so that no two rows may fall into the same
// unit modulo 8. With an odd number u of units to a row, r * u mod 8 is different for the eight r:
// no conflict, at the price of one unit of padding where head_dim / 8 is even and none where it is
// odd. (A swizzle would save the unit but needs a power of two, which 72 to 112 are not.)
constexpr int AttentionRowElements(int head_dim) { return (head_dim / 8 | 1) * 8; }

// Dynamic shared memory of a block: two tiles of K, two of V. 64: 36,864 bytes; 80: 22,528; 128:
// 34,816. Registers allow two blocks, which even the 100 KiB of sm_86, sm_89 and sm_120 hold.
constexpr size_t AttentionSharedBytes(int head_dim) {
  return size_t{4} * static_cast<size_t>(AttentionTileFor(head_dim).keys) *
         static_cast<size_t>(AttentionRowElements(head_dim)) * 2;
}

struct AttentionPlan {
  int blocks = 0;  // of queries
  int warps = 0;   // of a block
};

// The fewest blocks, then the fewest warps of each.
constexpr AttentionPlan PlanAttention(int q_tokens, int head_dim) {
  const int rows = 16 * AttentionTileFor(head_dim).row_tiles;
  const int warps = (q_tokens + rows - 1) / rows;  // that have a query
  const int blocks = (warps + kAttentionMaxWarps - 1) / kAttentionMaxWarps;
  return {blocks, (warps + blocks - 1) / blocks};
}

}  // namespace cliptag::cuda
