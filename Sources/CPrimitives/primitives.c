// Host calls that Swift's importer does not offer. The headers' inline functions are compiled here once as C.
#define _GNU_SOURCE
#include "CPrimitives.h"

#include <errno.h>
#include <sys/mman.h>

int tz_memfd_create(const char *name) {
    int descriptor = memfd_create(name, MFD_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}
