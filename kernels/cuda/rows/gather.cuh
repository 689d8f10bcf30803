// Rows gathered from other rows: patches and class token plus positions, token embeddings plus
// positions, and plain gathering (the end-of-text token of each text). A block per row, 128
// threads.
//
// Cost: the bytes moved are the bound. ViT-L/14 at batch 64: 34 MB of patches read, 67 MB of tokens
// written: 23 us at 4.3 TB/s; the position table (1 MB) stays in the L2.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kGatherThreads = 128;

template <typename In, typename Out = float>
struct AssembleTokensParams {
  const In* patches = nullptr;  // (batch * (tokens - 1), cols); with no class token, of tokens
  const float* class_token = nullptr;                               // (cols) or null
  const float* position = nullptr;                                  // (tokens, cols)
  Out* out = nullptr;                                               // (batch * tokens, cols)
  int64_t patches_stride = 0, position_stride = 0, out_stride = 0;  // elements
  int batch = 0, tokens = 0, cols = 0;
};

template <typename In, int kColumns, typename Out = float>
__global__ void __launch_bounds__(kGatherThreads)
    AssembleTokensKernel(AssembleTokensParams<In, Out> p) {
  const int row = static_cast<int>(blockIdx.x);
  const int item = row / p.tokens, token = row % p.tokens;
  const int extra = p.class_token == nullptr ? 0 : 1;
  const In* patch =
      p.patches + (int64_t{item} * (p.tokens - extra) + token - extra) * p.patches_stride;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kGatherThreads * kColumns) {
    float x[kColumns], position[kColumns];
    if (token < extra) {
      LoadColumns(p.class_token + col, x);
    } else {
      LoadColumns(patch + col, x);
    }
    LoadColumns(p.position + token * p.position_stride + col, position);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) x[i] += position[i];
    StoreColumns(p.out + row * p.out_stride + col, x);
  }
}

template <typename In, typename Out, typename Launch>
void LaunchAssembleTokens(const AssembleTokensParams<In, Out>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.batch * p.tokens), 1, 1, kGatherThreads, 0};
  if (IsWide(p.patches, p.patches_stride, p.cols) && IsWide(p.class_token, 0, p.cols) &&
      IsWide(p.position, p.position_stride, p.cols) && IsWide(p.out, p.out_stride, p.cols)) {
    launch(AssembleTokensKernel<In, 8, Out>, shape, p);
  } else {
    launch(AssembleTokensKernel<In, 1, Out>, shape, p);
  }
}

template <typename Table>
struct EmbedTokensParams {
  const int32_t* ids = nullptr;                                   // (rows), already checked
  const Table* table = nullptr;                                   // (vocabulary, cols)
  const float* position = nullptr;                                // (tokens, cols)
  float* out = nullptr;                                           // (rows, cols)
  int64_t table_stride = 0, position_stride = 0, out_stride = 0;  // elements
  int rows = 0, tokens = 0, cols = 0;
};

template <typename Table, int kColumns>
__global__ void __launch_bounds__(kGatherThreads) EmbedTokensKernel(EmbedTokensParams<Table> p) {
  const int row = static_cast<int>(blockIdx.x);
  const Table* from = p.table + p.ids[row] * p.table_stride;
  const float* position = p.position + row % p.tokens * p.position_stride;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kGatherThreads * kColumns) {
    float x[kColumns], added[kColumns];
    LoadColumns(from + col, x);
    LoadColumns(position + col, added);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) x[i] += added[i];
    StoreColumns(p.out + row * p.out_stride + col, x);
  }
}

template <typename Table, typename Launch>
void LaunchEmbedTokens(const EmbedTokensParams<Table>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kGatherThreads, 0};
  if (IsWide(p.table, p.table_stride, p.cols) && IsWide(p.position, p.position_stride, p.cols) &&
      IsWide(p.out, p.out_stride, p.cols)) {
    launch(EmbedTokensKernel<Table, 8>, shape, p);
  } else {
    launch(EmbedTokensKernel<Table, 1>, shape, p);
  }
}

// Rows of any type, as bytes.
struct GatherRowsParams {
  const void* x = nullptr;
  const int32_t* indices = nullptr;  // (rows): out row i = x row indices[i]
  void* out = nullptr;
  int64_t x_stride_bytes = 0, out_stride_bytes = 0, row_bytes = 0;  // even
  int rows = 0;
};

template <bool kWide>
__global__ void __launch_bounds__(kGatherThreads) GatherRowsKernel(GatherRowsParams p) {
  const auto row = static_cast<int64_t>(blockIdx.x);
  const auto* from = static_cast<const unsigned char*>(p.x) + p.indices[row] * p.x_stride_bytes;
  auto* to = static_cast<unsigned char*>(p.out) + row * p.out_stride_bytes;
  constexpr int kBytes = kWide ? 16 : 2;
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * kBytes; i < p.row_bytes;
       i += kGatherThreads * kBytes) {
    if constexpr (kWide) {
      Store16(to + i, Load16(from + i));
    } else {
      *reinterpret_cast<uint16_t*>(to + i) = *reinterpret_cast<const uint16_t*>(from + i);
    }
  }
}

template <typename Launch>
void LaunchGatherRows(const GatherRowsParams& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kGatherThreads, 0};
  const auto ends = reinterpret_cast<uintptr_t>(p.x) | reinterpret_cast<uintptr_t>(p.out);
  if ((ends | static_cast<uintptr_t>(p.x_stride_bytes | p.out_stride_bytes | p.row_bytes)) % 16 ==
      0) {
    launch(GatherRowsKernel<true>, shape, p);
  } else {
    launch(GatherRowsKernel<false>, shape, p);
  }
}

}  // namespace cliptag::cuda
