#include "models/io/sha.h"

#include <openssl/evp.h>

#include <new>

namespace cliptag {
namespace {

// What libcrypto refuses here it refuses for want of memory.
void Check(int done) {
  if (done != 1) throw std::bad_alloc();
}

}  // namespace

void BlockHash::Free::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

BlockHash::BlockHash(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  Check(EVP_DigestInit_ex(context_.get(), kind, nullptr));
}

void BlockHash::Add(const void* data, size_t bytes) {
  Check(EVP_DigestUpdate(context_.get(), data, bytes));
}

std::string BlockHash::Hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Check(EVP_DigestFinal_ex(context_.get(), digest, &size));
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

Sha256::Sha256() : BlockHash(EVP_sha256()) {}
Sha1::Sha1() : BlockHash(EVP_sha1()) {}

std::string Sha256Of(const void* data, size_t bytes) {
  std::string digest(kSha256Bytes, '\0');
  Check(EVP_Digest(data, bytes, reinterpret_cast<unsigned char*>(digest.data()), nullptr,
                   EVP_sha256(), nullptr));
  return digest;
}

}  // namespace cliptag
