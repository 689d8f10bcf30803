// The media files of a folder.
//
// Thread safety: pure functions over files.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// Files that accompany pictures and videos: notes, licences, tables, archives, and those of file
// managers (Thumbs.db, desktop.ini). By name alone; any other file may be a picture or a video.
bool IsCompanionFile(const std::string& path);

// Whether its name has the ending of a picture or a video.
bool HasMediaName(const std::string& path);

// Hidden files, and folders of the system: @eaDir, __MACOSX, lost+found.
bool IsSystemEntry(const std::string& path);

struct MediaFiles {
  std::vector<std::string> files;    // in the order of names, depth first
  std::vector<std::string> skipped;  // companions, and links to folders already read
};

// Appends the files of a folder and its sub-folders, without system entries. Links to folders are
// followed; each folder is read once, and none of `outside`, so that circular links end.
Status AddMediaFiles(const std::string& folder, const std::string& outside, MediaFiles* out);

// Prints one note about the files left out, if any.
void NoteSkipped(const std::vector<std::string>& skipped);

}  // namespace cliptag
