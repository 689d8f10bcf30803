#include "tests/cuda/attention_cases.inc"

namespace cliptag::cuda {

template void RunAttentionCase<Half>(const AttentionCase& c);
template void RunAttentionCase<Half, GeneralKernel<Half>>(const AttentionCase& c);

}  // namespace cliptag::cuda
