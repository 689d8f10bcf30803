// The products that a backend has chosen by timing (Backend::choices), kept in the cache
// (models/io/cache_file.h) for each model and machine: later starts choose the same without timing,
// so that embeddings do not differ in their last bits from run to run.
//
// Thread safety: as the Backend.
#pragma once

#include <string>

#include "kernels/backend.h"
#include "models/io/cache_file.h"

namespace cliptag {

// Made before the model `name` is packed, which then takes the choices that are kept.
class ProductChoices {
 public:
  ProductChoices(Backend& backend, const std::string& name);
  // Writes what has been chosen since. A file that cannot be written is one info line.
  void Keep();

 private:
  Backend& backend_;
  const std::string name_;
  const CacheFile file_;
  const std::string kept_;
};

}  // namespace cliptag
