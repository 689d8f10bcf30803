// The kernels whose speed decides, compiled by nvcc for every architecture that is supported; what ptxas
// says about each is checked by check_ptxas.py. Templates that nothing refers to are not compiled: hence
// the table of addresses.
#include "kernels/cuda/attention_launch.cuh"

namespace cliptag::cuda {

template <typename T, int kHeadDim>
void Attention(const void** table) {
  table[0] = reinterpret_cast<const void*>(AttentionKernel<T, kHeadDim, false>);
  table[1] = reinterpret_cast<const void*>(AttentionKernel<T, kHeadDim, true>);
  table[2] = reinterpret_cast<const void*>(SingleQueryAttentionKernel<T, kHeadDim>);
}

void HotKernels(const void** table) {
  Attention<Half, 64>(table);
  Attention<Half, 80>(table + 3);
  Attention<Half, 88>(table + 6);
  Attention<BFloat16, 32>(table + 9);
  Attention<BFloat16, 64>(table + 12);
  Attention<BFloat16, 72>(table + 12);
  Attention<BFloat16, 96>(table + 12);
  Attention<BFloat16, 104>(table + 12);
  Attention<BFloat16, 112>(table + 12);
  Attention<BFloat16, 128>(table + 15);
}

}  // namespace cliptag::cuda
