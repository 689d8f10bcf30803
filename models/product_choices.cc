#include "models/product_choices.h"

#include "kernels/base/log.h"
#include "models/io/content_hash.h"

namespace cliptag {
namespace {

CacheFile FileFor(const BackendInfo& info, const std::string& name) {
  ContentHash hash;
  hash.AddText(info.machine);
  hash.AddText(info.instructions);
  hash.AddText(ToString(info.precision));
  hash.AddText(CLIPTAG_VERSION);
  return FindCacheFile("products", name, hash.Hex());
}

}  // namespace

ProductChoices::ProductChoices(Backend& backend, const std::string& name)
    : backend_(backend),
      name_(name),
      file_(FileFor(backend.info(), name)),
      kept_(ReadCacheFile(file_).value_or("")) {
  backend_.SetChoices(kept_);
}

void ProductChoices::Keep() {
  const std::string choices = backend_.choices();
  if (choices == kept_) return;
  const Status status = WriteCacheFile(file_, choices);
  if (status.ok()) return;
  Log(LogLevel::kInfo, "The products for the model " + name_ +
                           " are timed at every start, and its embeddings may differ in their last "
                           "bits from run to run: " +
                           status.message());
}

}  // namespace cliptag
