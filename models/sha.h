// SHA-256 and SHA-1 of bytes that arrive piece by piece, by GLib: how a hub tells its files apart.
//
// Thread safety: an object belongs to one thread.
#pragma once

#include <cstddef>
#include <string>

struct _GChecksum;

namespace cliptag {

class Checksum {
 public:
  enum class Kind {
    kSha256,
    // For git's names of small files alone: against chance, not against somebody who wants a
    // collision.
    kSha1,
  };
  explicit Checksum(Kind kind);
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void Add(const void* data, size_t bytes);
  // Lower-case hexadecimal digits; nothing may be added afterwards.
  std::string Hex() const;

 private:
  _GChecksum* const checksum_;
};

}  // namespace cliptag
