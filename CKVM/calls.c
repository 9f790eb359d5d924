// The calls that are no ioctl, and the seam's variable.
#include "CKVM.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

ckvm_seam ckvm_current_seam;

void ckvm_set_seam(ckvm_seam seam) { __atomic_store_n(&ckvm_current_seam, seam, __ATOMIC_RELEASE); }

int ckvm_open(const char *path) {
    int result = 0;
    if (ckvm_intercepted(-1, CKVM_REQUEST_OPEN, &result)) return result;
    result = open(path, O_RDWR | O_CLOEXEC);
    return result < 0 ? -errno : result;
}

int ckvm_close(int descriptor) { return close(descriptor) < 0 ? -errno : 0; }

int ckvm_read(int descriptor, void *bytes, unsigned long count, unsigned long offset) {
    int result = 0;
    if (ckvm_intercepted(descriptor, CKVM_REQUEST_READ, &result)) return result;
    ssize_t length = pread(descriptor, bytes, count, (off_t)offset);
    return length < 0 ? -errno : (int)length;
}

int ckvm_map_run(int vcpu, unsigned long size, struct kvm_run **run) {
    int result = 0;
    *run = NULL;
    if (ckvm_intercepted(vcpu, CKVM_REQUEST_MAP, &result)) return result;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (map == MAP_FAILED) return -errno;
    *run = map;
    return 0;
}

void ckvm_unmap_run(struct kvm_run *run, unsigned long size) { munmap(run, size); }

int ckvm_make_event(void) {
    int result = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return result < 0 ? -errno : result;
}

const char *ckvm_error_text(int number) { return strerror(number); }
