// The files of a folder that a user means by "everything in it".
//
// Thread safety: pure functions over files.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// What lies beside pictures and videos without being one: notes, licences, tables, archives, and
// what file managers leave (Thumbs.db, desktop.ini). By name alone; anything else may be one.
bool IsCompanionFile(const std::string& path);

// Whether it is called like a picture or a video.
bool HasMediaName(const std::string& path);

// Hidden ones, and those that systems make for themselves: @eaDir, __MACOSX, lost+found.
bool IsSystemEntry(const std::string& path);

struct MediaFiles {
  std::vector<std::string> files;    // in the order of names, depth first
  std::vector<std::string> skipped;  // companions, and links to folders that were there already
};

// Appends everything in a folder and in those within it, system entries aside. Links to folders are
// followed; each folder is read once, and none of `outside`, so that links in a circle end.
Status AddMediaFiles(const std::string& folder, const std::string& outside, MediaFiles* out);

// Says once which files are left out, if any.
void NoteSkipped(const std::vector<std::string>& skipped);

}  // namespace cliptag
