// Whether this build runs under a sanitizer, which takes its time and memory of its own: limits on
// either mean nothing there.
#pragma once

namespace cliptag::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace cliptag::test
