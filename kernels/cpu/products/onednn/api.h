// The little of oneDNN whose programming interface differs between its major versions. Implemented
// by kernels/cpu/products/onednn/api_v2.cc and kernels/cpu/products/onednn/api_v3.cc, of which
// meson compiles the one that fits.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace cliptag {

// dst (rows, n) = src (rows, k) times weights (n, k) transposed, scratchpad given by the caller.
// Throws dnnl::error where oneDNN has no such product.
dnnl::inner_product_forward::primitive_desc DescribeProduct(const dnnl::engine& engine,
                                                            const dnnl::memory::desc& src,
                                                            const dnnl::memory::desc& weights,
                                                            const dnnl::memory::desc& dst);

}  // namespace cliptag
