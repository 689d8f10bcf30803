// Labelled pictures and videos: which files there are, and what is to be seen in them when.
//
// Thread safety: plain values.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct LabelledSpan {
  std::string label;
  double start_s = 0;
  double end_s = std::numeric_limits<double>::infinity();  // not part of it
};

struct LabelledFile {
  std::string path;
  std::vector<LabelledSpan> spans;

  // A picture, which has no time, shows what any of its spans says.
  bool Shows(const std::string& label, std::optional<double> time_s) const;
};

struct Dataset {
  std::vector<LabelledFile> files;  // every path once
};

// The labels' folders by name. Errors: there is no such dataset, or a file in it lies in no folder.
Result<std::vector<std::string>> LabelFolders(const std::string& folder);

// One folder per label: everything in it (hidden files aside) shows the label, from its beginning
// to its end. Errors name what is missing or lies in the wrong place.
Status ReadLabelFolders(const std::string& folder, Dataset* dataset);

// Rows FILE,START,END,LABEL with times in seconds; a path begins at the table's own folder. An
// empty START is the beginning, an empty END the end, an empty LABEL nothing at all (so that a
// video that shows nothing can be named). A first row "file,start,end,label" is a heading. Fields
// may be quoted as in CSV. Errors name the row.
Status ReadLabelTable(const std::string& path, Dataset* dataset);

}  // namespace cliptag
