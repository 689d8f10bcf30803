// A build without libsentencepiece.
#include "models/text/piece_model.h"

namespace cliptag {

Result<std::unique_ptr<PieceModel>> OpenSentencePiece(const std::string&, const std::string& file) {
  return Unsupported(file +
                     " needs sentencepiece, which this build is without: install "
                     "libsentencepiece-dev and build again.");
}

}  // namespace cliptag
