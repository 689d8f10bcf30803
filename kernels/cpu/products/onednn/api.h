// The part of oneDNN's interface that differs between its major versions; meson compiles either
// api_v2.cc or api_v3.cc.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace cliptag {

// dst (rows, n) = src (rows, k) times weights (n, k) transposed, with the caller's scratchpad.
// Throws dnnl::error if oneDNN has no such product.
dnnl::inner_product_forward::primitive_desc DescribeProduct(const dnnl::engine& engine,
                                                            const dnnl::memory::desc& src,
                                                            const dnnl::memory::desc& weights,
                                                            const dnnl::memory::desc& dst);

}  // namespace cliptag
