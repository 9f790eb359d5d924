// The structure that a vCPU shares with the kernel (api.rst, section 5): the one member that other threads write, and
// what lies at an offset that it names itself.
#ifndef TRAPEZE_CKVM_RUN_H
#define TRAPEZE_CKVM_RUN_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/// Makes the next or the running KVM_RUN return once the access that it completes is complete. Any thread.
static inline void ckvm_request_exit(struct kvm_run *_Nonnull run) {
    __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

/// Takes that back. A full barrier: what was asked for before the request is seen by whoever looks after this.
static inline void ckvm_forget_exit(struct kvm_run *_Nonnull run) {
    __atomic_exchange_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/// The data of KVM_EXIT_IO; null if it does not lie in the `size` bytes that are mapped.
static inline uint8_t *_Nullable ckvm_io_data(struct kvm_run *_Nonnull run, unsigned long size) {
    unsigned long offset = run->io.data_offset;
    unsigned long length = (unsigned long)run->io.size * run->io.count;
    return offset <= size && length <= size - offset ? (uint8_t *)run + offset : NULL;
}

/// Little-endian integers of 1, 2 or 4 bytes, as KVM_EXIT_IO has them.
static inline uint32_t ckvm_load(const uint8_t *_Nonnull data, uint32_t size) {
    uint32_t value = 0;
    __builtin_memcpy(&value, data, size <= 4 ? size : 4);
    return value;
}
static inline void ckvm_store(uint8_t *_Nonnull data, uint32_t size, uint32_t value) {
    __builtin_memcpy(data, &value, size <= 4 ? size : 4);
}

/// The 8 bytes of KVM_EXIT_MMIO's data.
static inline uint64_t ckvm_mmio_data(const struct kvm_run *_Nonnull run) {
    uint64_t value;
    __builtin_memcpy(&value, run->mmio.data, 8);
    return value;
}
static inline void ckvm_set_mmio_data(struct kvm_run *_Nonnull run, uint64_t value) {
    __builtin_memcpy(run->mmio.data, &value, 8);
}

/// The register page of a local APIC, 32 bits at an offset.
static inline uint32_t ckvm_lapic_register(const struct kvm_lapic_state *_Nonnull page, uint32_t offset) {
    uint32_t value;
    __builtin_memcpy(&value, page->regs + (offset & 0x3fc), 4);
    return value;
}
static inline void ckvm_set_lapic_register(struct kvm_lapic_state *_Nonnull page, uint32_t offset, uint32_t value) {
    __builtin_memcpy(page->regs + (offset & 0x3fc), &value, 4);
}

#endif
