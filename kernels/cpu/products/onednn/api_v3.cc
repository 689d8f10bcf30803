// oneDNN 3: only the primitive descriptor.
#include "kernels/cpu/products/onednn/api.h"

namespace cliptag {

dnnl::inner_product_forward::primitive_desc DescribeProduct(const dnnl::engine& engine,
                                                            const dnnl::memory::desc& src,
                                                            const dnnl::memory::desc& weights,
                                                            const dnnl::memory::desc& dst) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return {engine, dnnl::prop_kind::forward_inference, src, weights, dst, attributes};
}

}  // namespace cliptag
