// Host calls that Swift's importer does not offer. The headers' inline functions are compiled here once as C.
#define _GNU_SOURCE
#include "CPrimitives.h"

#include <errno.h>
#include <sys/mman.h>

int tz_join_pages(void *window, void *first, void *second) {
    // With an old size of 0, a shared mapping stays and gets a second place (mremap(2)).
    if (mremap(first, 0, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, window) == MAP_FAILED) return -errno;
    if (mremap(second, 0, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)window + 4096) == MAP_FAILED) return -errno;
    return 0;
}

void *tz_second_mapping(void *mapping, size_t size) {
    void *second = mremap(mapping, 0, size, MREMAP_MAYMOVE);
    return second == MAP_FAILED ? NULL : second;
}

int tz_populate(void *memory, size_t size, int writes) {
    // Linux 5.14; older C libraries don't name them.
    enum { POPULATE_READ = 22, POPULATE_WRITE = 23 };
    return madvise(memory, size, writes ? POPULATE_WRITE : POPULATE_READ) == 0 ? 0 : errno;
}

int tz_memfd_create(const char *name) {
    int descriptor = memfd_create(name, MFD_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}
