// Tells ThreadSanitizer what GLib has put in order.
//
// The locks and queues of GLib and GStreamer are futexes of their own, which ThreadSanitizer does
// not see: what two threads do one after the other under a pad's stream lock looks like a race to
// it. Both threads name one address here: the first releases it, the later one acquires it. No
// thread waits for another in these calls, so those that do overlap are still reported. They are
// empty in other builds.
#pragma once

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace cliptag {

inline void GlibAcquire([[maybe_unused]] const void* address) {
#ifdef __SANITIZE_THREAD__
  __tsan_acquire(const_cast<void*>(address));
#endif
}

inline void GlibRelease([[maybe_unused]] const void* address) {
#ifdef __SANITIZE_THREAD__
  __tsan_release(const_cast<void*>(address));
#endif
}

// A call that GLib lets run one at a time, for instance under a pad's stream lock.
class GlibTurn {
 public:
  explicit GlibTurn(const void* address) : address_(address) { GlibAcquire(address_); }
  ~GlibTurn() { GlibRelease(address_); }
  GlibTurn(const GlibTurn&) = delete;
  GlibTurn& operator=(const GlibTurn&) = delete;

 private:
  const void* const address_;
};

}  // namespace cliptag
