// What the engine takes for granted of the kernel's structures, checked when it is compiled: they are the ABI of x86-64.
#ifndef TRAPEZE_CKVM_LAYOUT_H
#define TRAPEZE_CKVM_LAYOUT_H

#include <linux/kvm.h>
#include <stddef.h>

#define CKVM_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), "size of " #type)
#define CKVM_PLACE(type, member, place) _Static_assert(offsetof(struct type, member) == (place), #type "." #member)

_Static_assert(KVM_API_VERSION == 12, "the KVM interface has had this version since Linux 2.6.22");

CKVM_SIZE(kvm_regs, 144);
CKVM_SIZE(kvm_segment, 24);
CKVM_SIZE(kvm_dtable, 16);
CKVM_SIZE(kvm_sregs, 312);
CKVM_SIZE(kvm_sregs2, 320);
CKVM_SIZE(kvm_lapic_state, 1024);
CKVM_SIZE(kvm_msr_entry, 16);
CKVM_SIZE(kvm_msrs, 8);
CKVM_SIZE(kvm_msr_list, 4);
CKVM_SIZE(kvm_cpuid_entry2, 40);
CKVM_SIZE(kvm_cpuid2, 8);
CKVM_SIZE(kvm_userspace_memory_region, 32);
CKVM_SIZE(kvm_dirty_log, 16);
CKVM_SIZE(kvm_mp_state, 4);
CKVM_SIZE(kvm_vcpu_events, 64);
CKVM_SIZE(kvm_debugregs, 128);
CKVM_SIZE(kvm_xsave, 4096);
CKVM_SIZE(kvm_xcrs, 392);
CKVM_SIZE(kvm_msi, 32);
CKVM_SIZE(kvm_irqfd, 32);
CKVM_SIZE(kvm_ioeventfd, 64);
CKVM_SIZE(kvm_irq_level, 8);
CKVM_SIZE(kvm_irq_routing_entry, 48);
CKVM_SIZE(kvm_irqchip, 520);
CKVM_SIZE(kvm_pic_state, 16);
CKVM_SIZE(kvm_ioapic_state, 216);
CKVM_SIZE(kvm_pit_channel_state, 24);
CKVM_SIZE(kvm_pit_state2, 112);
CKVM_SIZE(kvm_clock_data, 48);
CKVM_SIZE(kvm_enable_cap, 104);
CKVM_SIZE(kvm_guest_debug, 72);
CKVM_SIZE(kvm_stats_header, 24);
CKVM_SIZE(kvm_stats_desc, 16);
CKVM_PLACE(kvm_run, immediate_exit, 1);
CKVM_PLACE(kvm_run, exit_reason, 8);
CKVM_PLACE(kvm_run, ready_for_interrupt_injection, 12);
CKVM_PLACE(kvm_run, cr8, 16);
CKVM_PLACE(kvm_run, mmio, 32);
CKVM_PLACE(kvm_run, io, 32);
CKVM_PLACE(kvm_sregs, cr0, 224);
CKVM_PLACE(kvm_sregs, efer, 264);
CKVM_PLACE(kvm_sregs, interrupt_bitmap, 280);
CKVM_PLACE(kvm_vcpu_events, nmi, 12);
CKVM_PLACE(kvm_vcpu_events, flags, 20);

#undef CKVM_SIZE
#undef CKVM_PLACE

#endif
