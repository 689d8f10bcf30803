// How many buffers upstream's pool has, where it cannot grow.
//
// Thread safety: belongs to the streaming thread.
#pragma once

#include <gst/gst.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cliptag {

class PoolLimit {
 public:
  void See(const GstBuffer* buffer) {
    if (buffer->pool == pool_) return;
    pool_ = buffer->pool;
    max_ = 0;
    if (pool_ == nullptr) return;
    GstStructure* config = gst_buffer_pool_get_config(pool_);
    guint max = 0;
    if (gst_buffer_pool_config_get_params(config, nullptr, nullptr, nullptr, &max)) max_ = max;
    gst_structure_free(config);
  }

  // That may be held here: upstream needs one to fill.
  size_t most_held() const { return max_ > 0 ? std::max(max_, 2u) - 1 : SIZE_MAX; }

  // A new pool may come to lie at the same address.
  void Forget() { *this = PoolLimit(); }

 private:
  GstBufferPool* pool_ = nullptr;  // compared, never followed once its buffer has gone
  guint max_ = 0;
};

}  // namespace cliptag
