// Pictures with captions: the table that says which belong together, and how well each finds the
// other.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/clip_model.h"
#include "plugin/cli/eval/measures/metrics.h"
#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

struct CaptionTable {
  std::vector<std::string> pictures, texts;  // each once
  std::vector<PairedEmbeddings::Pair> pairs;
};

// Rows of a picture's path (which begins at the table's own folder) and a caption; a picture may
// have several rows, and so may a caption. What the file's name ends in says how it is written:
//   .csv           fields between commas, quoted where they hold any
//   .tsv, .txt     fields between tabs
//   .jsonl         objects {"image": …, "caption": … or a list}, one a line
// A first row of headings (image,caption or filepath,title) is skipped. Errors name file and line.
Result<CaptionTable> ReadCaptions(const std::string& path);

// Recall both ways. Captions are encoded as they stand, without templates. Pictures that cannot be
// read are told on stderr, added to `unreadable` and left out with the captions that are theirs
// alone.
Result<CaptionsResult> EvaluateCaptions(ClipModel& model, const CaptionTable& table,
                                        const InputOptions& input,
                                        std::vector<Unreadable>* unreadable);

}  // namespace cliptag
