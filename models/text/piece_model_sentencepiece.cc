#include <sentencepiece_processor.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "models/text/piece_check.h"
#include "models/text/piece_model.h"

namespace cliptag {
namespace {

// The library's own status has a C string, absl's, which is that of newer versions, a view.
template <typename LibraryStatus>
std::string Message(const LibraryStatus& status) {
  return std::string(status.message());
}

class SentencePieceModel : public PieceModel {
 public:
  Status Load(const std::string& bytes, const std::string& file) try {
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) {
      return DataLoss(file + " is no sentencepiece model: " + Message(status) + ".");
    }
    return {};
  } catch (const std::exception& e) {  // an empty piece, or no memory
    return DataLoss(file + " is no sentencepiece model: " + e.what() + ".");
  }

  Result<std::vector<int32_t>> Encode(const std::string& text) const override try {
    std::vector<int> ids;
    const auto status = processor_.Encode(text, &ids);
    if (!status.ok()) {
      return InvalidArgument("sentencepiece refuses a text: " + Message(status) + ".");
    }
    return std::vector<int32_t>(ids.begin(), ids.end());
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("sentencepiece refuses a text: ") + e.what() + ".");
  }
  int32_t Find(const std::string& piece) const override {
    // The library answers what it does not know with the id of the unknown piece.
    const int id = processor_.PieceToId(piece);
    return processor_.IdToPiece(id) == piece ? id : -1;
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

Result<std::unique_ptr<PieceModel>> OpenSentencePiece(const std::string& bytes,
                                                      const std::string& file) {
  CLIPTAG_RETURN_IF_ERROR(CheckSentencePiece(bytes, file));
  auto model = std::make_unique<SentencePieceModel>();
  CLIPTAG_RETURN_IF_ERROR(model->Load(bytes, file));
  return std::unique_ptr<PieceModel>(std::move(model));
}

}  // namespace cliptag
