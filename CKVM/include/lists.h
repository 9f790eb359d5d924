// The calls whose argument ends in a list, which Swift cannot lay out: they take the list by itself and its length.
#ifndef TRAPEZE_CKVM_LISTS_H
#define TRAPEZE_CKVM_LISTS_H

#include <linux/kvm.h>
#include <stdint.h>

/// Entries that any of these lists may have.
#define CKVM_LIST_MAXIMUM 512

/// The MSRs that the host's KVM saves and restores; their number.
int ckvm_get_msr_index_list(int device, uint32_t *_Nonnull indices, uint32_t capacity);
/// Reads MSRs; how many, from the first, could be read.
int ckvm_get_msrs(int vcpu, struct kvm_msr_entry *_Nonnull entries, uint32_t count);
/// Writes MSRs; how many, from the first, were accepted.
int ckvm_set_msrs(int vcpu, const struct kvm_msr_entry *_Nonnull entries, uint32_t count);
/// What CPUID may answer under this KVM; the number of entries.
int ckvm_get_supported_cpuid(int device, struct kvm_cpuid_entry2 *_Nonnull entries, uint32_t capacity);
/// What CPUID answers.
int ckvm_set_cpuid2(int vcpu, const struct kvm_cpuid_entry2 *_Nonnull entries, uint32_t count);
/// Where global system interrupts lead; replaces what was.
int ckvm_set_gsi_routing(int vm, const struct kvm_irq_routing_entry *_Nonnull entries, uint32_t count);

#endif
