// One case of the attention kernels: data, oracle, plain implementation and comparison. The kernels
// are compiled once for each type, in attention_kernels_<type>.cc.
#pragma once

#include <cstdint>
#include <ostream>
#include <vector>

#include "kernels/cuda/attention/general.cuh"
#include "kernels/cuda/attention/launch.cuh"
#include "tests/cuda/test_support.h"

namespace cliptag::cuda {

struct AttentionCase {
  int head_dim = 64;
  int q_tokens = 50, kv_tokens = 50;
  int batch = 1, heads = 1;
  bool causal = false;
  std::vector<int32_t> lengths;  // of each batch item; empty = none given
  uint32_t order = 0;
  float scale = -1;  // negative: 1 / sqrt(head_dim)
  float spread = 1;  // of the queries: large ones make one key win
};

// A card of so many multiprocessors: one that no case fills, whose warps have one row tile, and one
// that every case fills, whose warps have two where there are such kernels.
inline constexpr int kLargeCard = 1 << 20, kSmallCard = 0;

inline std::ostream& operator<<(std::ostream& out, const AttentionCase& c) {
  out << "head_dim " << c.head_dim << ", q " << c.q_tokens << ", kv " << c.kv_tokens << ", batch "
      << c.batch << ", heads " << c.heads << (c.causal ? ", causal" : "") << ", order " << c.order;
  for (const int32_t length : c.lengths) out << ", length " << length;
  return out;
}

// Which kernels a test compiles: all, or, where that takes too long, those of some head sizes.
template <typename T>
struct EveryHeadDim {
  static constexpr bool kTensorCores = true;
  static bool Launch(const AttentionProblem& problem, EmulatedLauncher& launcher) {
    return LaunchAttention<T>(problem, launcher);
  }
};
// The kernel for everything else.
template <typename T>
struct GeneralKernel {
  static constexpr bool kTensorCores = false;
  static bool Launch(const AttentionProblem& problem, EmulatedLauncher& launcher) {
    return LaunchGeneralAttention<T>(problem, launcher);
  }
};
template <typename T, int... kHeadDims>
struct HeadDims {
  static constexpr bool kTensorCores = true;
  static bool Launch(const AttentionProblem& problem, EmulatedLauncher& launcher) {
    return SupportsAttention(problem) &&
           ((problem.head_dim == kHeadDims
                 ? (LaunchAttentionOf<T, kHeadDims>(problem, launcher), true)
                 : false) ||
            ...);
  }
};

// Runs it and checks outputs, sentinels and the launch's report.
template <typename T, typename Kernels = EveryHeadDim<T>>
void RunAttentionCase(const AttentionCase& c);

}  // namespace cliptag::cuda
