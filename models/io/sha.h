// SHA-256 and SHA-1 of bytes that arrive piece by piece: how a hub tells its files apart, and what
// identities are made of (models/io/content_hash.h). OpenSSL's libcrypto computes them.
//
// Thread safety: an object belongs to one thread. Throws std::bad_alloc where there is no memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct evp_md_ctx_st;
struct evp_md_st;

namespace cliptag {

class BlockHash {
 public:
  void Add(const void* data, size_t bytes);
  // Lower-case hexadecimal digits; nothing may be added afterwards.
  std::string Hex();

 protected:
  explicit BlockHash(const evp_md_st* kind);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

struct Sha256 : BlockHash {
  Sha256();
};
// For git's names of small files alone: against chance, not against somebody who wants a collision.
struct Sha1 : BlockHash {
  Sha1();
};

// The bytes of the SHA-256 of what lies there.
inline constexpr size_t kSha256Bytes = 32;
std::string Sha256Of(const void* data, size_t bytes);

}  // namespace cliptag
