#include "plugin/elements/cliptag/prompts/message.h"

#include <memory>
#include <string>
#include <vector>

namespace cliptag {
namespace {

// Everything behind its length, so that no two lists give the same bytes.
class Hash {
 public:
  void Bytes(const void* data, size_t size) {
    Add(&size, sizeof(size));
    Add(data, size);
  }
  void Text(const std::string& text) { Bytes(text.data(), text.size()); }
  void List(const std::vector<std::string>& texts) {
    const size_t size = texts.size();
    Add(&size, sizeof(size));
    for (const std::string& text : texts) Text(text);
  }
  void Number(double number) { Add(&number, sizeof(number)); }
  const gchar* Hex() { return g_checksum_get_string(checksum_.get()); }

 private:
  struct Free {
    void operator()(GChecksum* checksum) const { g_checksum_free(checksum); }
  };
  void Add(const void* data, size_t size) {
    g_checksum_update(checksum_.get(), static_cast<const guchar*>(data), static_cast<gssize>(size));
  }

  std::unique_ptr<GChecksum, Free> checksum_{g_checksum_new(G_CHECKSUM_SHA256)};
};

}  // namespace

GstStructure* MakePromptsStructure(const PromptBank& bank) {
  Hash hash;
  hash.List(bank.spec.templates);
  hash.List(bank.spec.background);
  const size_t row_bytes = sizeof(float) * static_cast<size_t>(bank.dim);
  for (size_t i = 0; i < bank.spec.tags.size(); ++i) {
    const TagSpec& tag = bank.spec.tags[i];
    hash.Text(tag.label);
    hash.List(tag.prompts);
    hash.List(tag.negatives);
    for (const double number : {tag.threshold, tag.off_threshold, tag.min_duration_s})
      hash.Number(number);
    // What a picture shows, and not what its file is called.
    hash.Number(static_cast<double>(tag.images.size()));
    const bool pictures = i < bank.exemplars.size() && bank.exemplars[i].row >= 0;
    if (pictures) hash.Bytes(bank.row(bank.exemplars[i].row), row_bytes);
    if (tag.row) hash.Bytes(tag.row->data(), sizeof(float) * tag.row->size());
  }
  return gst_structure_new("cliptag-prompts", "count", G_TYPE_UINT,
                           static_cast<guint>(bank.spec.tags.size()), "hash", G_TYPE_STRING,
                           hash.Hex(), nullptr);
}

}  // namespace cliptag
