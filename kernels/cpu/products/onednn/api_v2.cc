// oneDNN 2: first an operation descriptor, then the primitive descriptor.
#include "kernels/cpu/products/onednn/api.h"

namespace cliptag {

dnnl::inner_product_forward::primitive_desc DescribeProduct(const dnnl::engine& engine,
                                                            const dnnl::memory::desc& src,
                                                            const dnnl::memory::desc& weights,
                                                            const dnnl::memory::desc& dst) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::inner_product_forward::desc operation(dnnl::prop_kind::forward_inference, src,
                                                    weights, dst);
  return {operation, attributes, engine};
}

}  // namespace cliptag
