#include "tests/cuda/attention_cases.inc"

namespace cliptag::cuda {

template void RunAttentionCase<BFloat16>(const AttentionCase& c);
template void RunAttentionCase<BFloat16, GeneralKernel<BFloat16>>(const AttentionCase& c);

}  // namespace cliptag::cuda
