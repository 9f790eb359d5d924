// The calls with arguments of a fixed size, by the names that the kernel's documentation gives them
// (Documentation/virt/kvm/api.rst).
#ifndef TRAPEZE_CKVM_CALLS_H
#define TRAPEZE_CKVM_CALLS_H

#include <linux/kvm.h>

#include "seam.h"

#define CKVM_PLAIN(name, request)                                                                                     \
    static inline int name(int descriptor) { return ckvm_call(descriptor, request, 0); }
#define CKVM_NUMBER(name, request)                                                                                    \
    static inline int name(int descriptor, unsigned long number) { return ckvm_call(descriptor, request, number); }
#define CKVM_READ(name, request, type)                                                                                \
    static inline int name(int descriptor, type *_Nonnull value) {                                                   \
        return ckvm_call(descriptor, request, (uintptr_t)value);                                                      \
    }
#define CKVM_WRITE(name, request, type)                                                                               \
    static inline int name(int descriptor, const type *_Nonnull value) {                                             \
        return ckvm_call(descriptor, request, (uintptr_t)value);                                                      \
    }

// The device.
int ckvm_open(const char *_Nonnull path);
int ckvm_close(int descriptor);
CKVM_PLAIN(ckvm_get_api_version, KVM_GET_API_VERSION)
CKVM_NUMBER(ckvm_check_extension, KVM_CHECK_EXTENSION)
CKVM_NUMBER(ckvm_create_vm, KVM_CREATE_VM)
CKVM_PLAIN(ckvm_get_vcpu_mmap_size, KVM_GET_VCPU_MMAP_SIZE)

// A virtual machine.
CKVM_WRITE(ckvm_enable_cap, KVM_ENABLE_CAP, struct kvm_enable_cap)
CKVM_NUMBER(ckvm_set_tss_addr, KVM_SET_TSS_ADDR)
CKVM_WRITE(ckvm_set_identity_map_addr, KVM_SET_IDENTITY_MAP_ADDR, uint64_t)
CKVM_WRITE(ckvm_set_user_memory_region, KVM_SET_USER_MEMORY_REGION, struct kvm_userspace_memory_region)
CKVM_NUMBER(ckvm_create_vcpu, KVM_CREATE_VCPU)
CKVM_PLAIN(ckvm_create_irqchip, KVM_CREATE_IRQCHIP)
CKVM_WRITE(ckvm_create_pit2, KVM_CREATE_PIT2, struct kvm_pit_config)
CKVM_READ(ckvm_get_irqchip, KVM_GET_IRQCHIP, struct kvm_irqchip)
CKVM_WRITE(ckvm_set_irqchip, KVM_SET_IRQCHIP, struct kvm_irqchip)
CKVM_READ(ckvm_get_pit2, KVM_GET_PIT2, struct kvm_pit_state2)
CKVM_WRITE(ckvm_set_pit2, KVM_SET_PIT2, struct kvm_pit_state2)
CKVM_WRITE(ckvm_irq_line, KVM_IRQ_LINE, struct kvm_irq_level)
CKVM_WRITE(ckvm_signal_msi, KVM_SIGNAL_MSI, struct kvm_msi)
CKVM_READ(ckvm_get_clock, KVM_GET_CLOCK, struct kvm_clock_data)
CKVM_WRITE(ckvm_set_clock, KVM_SET_CLOCK, struct kvm_clock_data)
CKVM_WRITE(ckvm_irqfd, KVM_IRQFD, struct kvm_irqfd)
CKVM_WRITE(ckvm_ioeventfd, KVM_IOEVENTFD, struct kvm_ioeventfd)

/// The pages of a slot that were written since the last call, one bit each.
static inline int ckvm_get_dirty_log(int vm, uint32_t slot, uint64_t *_Nonnull bitmap) {
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};
    return ckvm_call(vm, KVM_GET_DIRTY_LOG, (uintptr_t)&log);
}

// A vCPU.
CKVM_PLAIN(ckvm_run, KVM_RUN)
CKVM_READ(ckvm_get_regs, KVM_GET_REGS, struct kvm_regs)
CKVM_WRITE(ckvm_set_regs, KVM_SET_REGS, struct kvm_regs)
CKVM_READ(ckvm_get_sregs, KVM_GET_SREGS, struct kvm_sregs)
CKVM_WRITE(ckvm_set_sregs, KVM_SET_SREGS, struct kvm_sregs)
CKVM_READ(ckvm_get_sregs2, KVM_GET_SREGS2, struct kvm_sregs2)
CKVM_WRITE(ckvm_set_sregs2, KVM_SET_SREGS2, struct kvm_sregs2)
CKVM_READ(ckvm_get_lapic, KVM_GET_LAPIC, struct kvm_lapic_state)
CKVM_WRITE(ckvm_set_lapic, KVM_SET_LAPIC, struct kvm_lapic_state)
CKVM_READ(ckvm_get_mp_state, KVM_GET_MP_STATE, struct kvm_mp_state)
CKVM_WRITE(ckvm_set_mp_state, KVM_SET_MP_STATE, struct kvm_mp_state)
CKVM_READ(ckvm_get_vcpu_events, KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events)
CKVM_WRITE(ckvm_set_vcpu_events, KVM_SET_VCPU_EVENTS, struct kvm_vcpu_events)
CKVM_READ(ckvm_get_debugregs, KVM_GET_DEBUGREGS, struct kvm_debugregs)
CKVM_WRITE(ckvm_set_debugregs, KVM_SET_DEBUGREGS, struct kvm_debugregs)
CKVM_READ(ckvm_get_xcrs, KVM_GET_XCRS, struct kvm_xcrs)
CKVM_WRITE(ckvm_set_xcrs, KVM_SET_XCRS, struct kvm_xcrs)
CKVM_PLAIN(ckvm_get_tsc_khz, KVM_GET_TSC_KHZ)
CKVM_NUMBER(ckvm_set_tsc_khz, KVM_SET_TSC_KHZ)
CKVM_WRITE(ckvm_set_guest_debug, KVM_SET_GUEST_DEBUG, struct kvm_guest_debug)
CKVM_PLAIN(ckvm_get_stats_fd, KVM_GET_STATS_FD)

/// Reads the XSAVE area into `size` bytes: 4096, or for `KVM_GET_XSAVE2` what KVM_CAP_XSAVE2 says.
static inline int ckvm_get_xsave(int vcpu, void *_Nonnull area, bool second) {
    return ckvm_call(vcpu, second ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, (uintptr_t)area);
}
static inline int ckvm_set_xsave(int vcpu, const void *_Nonnull area) {
    return ckvm_call(vcpu, KVM_SET_XSAVE, (uintptr_t)area);
}

/// Hands over the vector that the PIC pair has given.
static inline int ckvm_interrupt(int vcpu, uint32_t vector) {
    struct kvm_interrupt interrupt = {.irq = vector};
    return ckvm_call(vcpu, KVM_INTERRUPT, (uintptr_t)&interrupt);
}

/// The offset of the guest's time-stamp counter (Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_OFFSET).
static inline int ckvm_get_tsc_offset(int vcpu, uint64_t *_Nonnull offset) {
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};
    return ckvm_call(vcpu, KVM_GET_DEVICE_ATTR, (uintptr_t)&attribute);
}
static inline int ckvm_set_tsc_offset(int vcpu, uint64_t offset) {
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};
    return ckvm_call(vcpu, KVM_SET_DEVICE_ATTR, (uintptr_t)&attribute);
}

/// Reads at an offset of a statistics file; what was read, in bytes.
int ckvm_read(int descriptor, void *_Nonnull bytes, unsigned long count, unsigned long offset);

/// Maps the page that a vCPU shares with the kernel, and those behind it. 0 or -errno.
int ckvm_map_run(int vcpu, unsigned long size, struct kvm_run *_Nullable *_Nonnull run);
void ckvm_unmap_run(struct kvm_run *_Nonnull run, unsigned long size);

/// Makes an eventfd that does not block, which Swift's C library has no function for.
int ckvm_make_event(void);

/// The text of an error number, for messages.
const char *_Nonnull ckvm_error_text(int number);

#endif
