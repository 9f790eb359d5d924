// Lists, put behind their heads in a buffer on the stack and taken out again.
#include "CKVM.h"

#include <string.h>

// A head of the given type with room for a list behind it, as `buffer`.
#define CKVM_BUFFER(head, entry)                                                                                      \
    _Static_assert(CKVM_LIST_MAXIMUM <= 512, "the buffer is on the stack");                                           \
    _Alignas(8) unsigned char space[sizeof(struct head) + CKVM_LIST_MAXIMUM * sizeof(entry)];                         \
    struct head *buffer = (struct head *)space;                                                                       \
    memset(buffer, 0, sizeof *buffer)

int ckvm_get_msr_index_list(int device, uint32_t *indices, uint32_t capacity) {
    CKVM_BUFFER(kvm_msr_list, uint32_t);
    buffer->nmsrs = CKVM_LIST_MAXIMUM;
    int result = ckvm_call(device, KVM_GET_MSR_INDEX_LIST, (uintptr_t)buffer);
    if (result < 0) return result;
    if (buffer->nmsrs > capacity || buffer->nmsrs > CKVM_LIST_MAXIMUM) return -E2BIG;
    memcpy(indices, buffer->indices, buffer->nmsrs * sizeof *indices);
    return (int)buffer->nmsrs;
}

int ckvm_get_msrs(int vcpu, struct kvm_msr_entry *entries, uint32_t count) {
    if (count > CKVM_LIST_MAXIMUM) return -E2BIG;
    CKVM_BUFFER(kvm_msrs, struct kvm_msr_entry);
    buffer->nmsrs = count;
    memcpy(buffer->entries, entries, count * sizeof *entries);
    int result = ckvm_call(vcpu, KVM_GET_MSRS, (uintptr_t)buffer);
    if (result > 0) memcpy(entries, buffer->entries, count * sizeof *entries);
    return result;
}

int ckvm_set_msrs(int vcpu, const struct kvm_msr_entry *entries, uint32_t count) {
    if (count > CKVM_LIST_MAXIMUM) return -E2BIG;
    CKVM_BUFFER(kvm_msrs, struct kvm_msr_entry);
    buffer->nmsrs = count;
    memcpy(buffer->entries, entries, count * sizeof *entries);
    return ckvm_call(vcpu, KVM_SET_MSRS, (uintptr_t)buffer);
}

int ckvm_get_supported_cpuid(int device, struct kvm_cpuid_entry2 *entries, uint32_t capacity) {
    CKVM_BUFFER(kvm_cpuid2, struct kvm_cpuid_entry2);
    // The kernel refuses room for more than it may ever give (KVM_MAX_CPUID_ENTRIES).
    buffer->nent = 256;
    int result = ckvm_call(device, KVM_GET_SUPPORTED_CPUID, (uintptr_t)buffer);
    if (result < 0) return result;
    if (buffer->nent > capacity || buffer->nent > 256) return -E2BIG;
    memcpy(entries, buffer->entries, buffer->nent * sizeof *entries);
    return (int)buffer->nent;
}

int ckvm_set_cpuid2(int vcpu, const struct kvm_cpuid_entry2 *entries, uint32_t count) {
    if (count > CKVM_LIST_MAXIMUM) return -E2BIG;
    CKVM_BUFFER(kvm_cpuid2, struct kvm_cpuid_entry2);
    buffer->nent = count;
    memcpy(buffer->entries, entries, count * sizeof *entries);
    return ckvm_call(vcpu, KVM_SET_CPUID2, (uintptr_t)buffer);
}

int ckvm_set_gsi_routing(int vm, const struct kvm_irq_routing_entry *entries, uint32_t count) {
    if (count > CKVM_LIST_MAXIMUM) return -E2BIG;
    CKVM_BUFFER(kvm_irq_routing, struct kvm_irq_routing_entry);
    buffer->nr = count;
    memcpy(buffer->entries, entries, count * sizeof *entries);
    return ckvm_call(vm, KVM_SET_GSI_ROUTING, (uintptr_t)buffer);
}
