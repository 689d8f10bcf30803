#include "models/sha.h"

#include <glib.h>

namespace cliptag {

Checksum::Checksum(Kind kind)
    : checksum_(g_checksum_new(kind == Kind::kSha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_SHA1)) {}

Checksum::~Checksum() { g_checksum_free(checksum_); }

void Checksum::Add(const void* data, size_t bytes) {
  g_checksum_update(checksum_, static_cast<const guchar*>(data), static_cast<gssize>(bytes));
}

std::string Checksum::Hex() const { return g_checksum_get_string(checksum_); }

}  // namespace cliptag
