// Mappings whose file may shrink while they are read. Touching a page that the file no longer has
// raises SIGBUS, which ends the process. A handler, installed with the first mapping that is
// watched, puts zeros in the place of the whole mapping instead and notes that it did so; whoever
// reads the mapping asks afterwards. libwayland does the same with the memory that clients share.
//
// Sound, because: the signal comes in the thread that touched the page, in the middle of one load;
// the handler makes two system calls, takes no lock and allocates nothing; and what is not ours
// goes to the handler that was there before. A program that installs a handler of its own later is
// as it would be without this one.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>

namespace cliptag {

// From Watch to Unwatch the mapping must not be unmapped. The number of its place, or -1 where
// there is none left (more files are open than there are places): then do not read it.
int WatchForLostPages(void* address, size_t bytes);
bool PagesWereLost(int place);
void UnwatchForLostPages(int place);

}  // namespace cliptag
