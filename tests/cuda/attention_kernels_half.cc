#include "tests/cuda/attention_cases.inc"

namespace cliptag::cuda {

template void RunAttentionCase<Half>(const AttentionCase& c);

}  // namespace cliptag::cuda
