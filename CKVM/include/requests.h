// The request numbers, which the kernel's headers have as macros that Swift cannot read; tests name calls by them.
#ifndef TRAPEZE_CKVM_REQUESTS_H
#define TRAPEZE_CKVM_REQUESTS_H

#include <linux/kvm.h>

/// Calls that are no ioctl: opening the device, mapping a vCPU's shared page, reading statistics.
static const unsigned long CKVM_REQUEST_OPEN = 1;
static const unsigned long CKVM_REQUEST_MAP = 2;
static const unsigned long CKVM_REQUEST_READ = 3;

static const unsigned long CKVM_REQUEST_GET_API_VERSION = KVM_GET_API_VERSION;
static const unsigned long CKVM_REQUEST_CHECK_EXTENSION = KVM_CHECK_EXTENSION;
static const unsigned long CKVM_REQUEST_CREATE_VM = KVM_CREATE_VM;
static const unsigned long CKVM_REQUEST_GET_VCPU_MMAP_SIZE = KVM_GET_VCPU_MMAP_SIZE;
static const unsigned long CKVM_REQUEST_GET_MSR_INDEX_LIST = KVM_GET_MSR_INDEX_LIST;
static const unsigned long CKVM_REQUEST_GET_SUPPORTED_CPUID = KVM_GET_SUPPORTED_CPUID;
static const unsigned long CKVM_REQUEST_ENABLE_CAP = KVM_ENABLE_CAP;
static const unsigned long CKVM_REQUEST_SET_TSS_ADDR = KVM_SET_TSS_ADDR;
static const unsigned long CKVM_REQUEST_SET_IDENTITY_MAP_ADDR = KVM_SET_IDENTITY_MAP_ADDR;
static const unsigned long CKVM_REQUEST_SET_USER_MEMORY_REGION = KVM_SET_USER_MEMORY_REGION;
static const unsigned long CKVM_REQUEST_GET_DIRTY_LOG = KVM_GET_DIRTY_LOG;
static const unsigned long CKVM_REQUEST_CREATE_VCPU = KVM_CREATE_VCPU;
static const unsigned long CKVM_REQUEST_CREATE_IRQCHIP = KVM_CREATE_IRQCHIP;
static const unsigned long CKVM_REQUEST_CREATE_PIT2 = KVM_CREATE_PIT2;
static const unsigned long CKVM_REQUEST_GET_IRQCHIP = KVM_GET_IRQCHIP;
static const unsigned long CKVM_REQUEST_SET_IRQCHIP = KVM_SET_IRQCHIP;
static const unsigned long CKVM_REQUEST_GET_PIT2 = KVM_GET_PIT2;
static const unsigned long CKVM_REQUEST_SET_PIT2 = KVM_SET_PIT2;
static const unsigned long CKVM_REQUEST_IRQ_LINE = KVM_IRQ_LINE;
static const unsigned long CKVM_REQUEST_SET_GSI_ROUTING = KVM_SET_GSI_ROUTING;
static const unsigned long CKVM_REQUEST_SIGNAL_MSI = KVM_SIGNAL_MSI;
static const unsigned long CKVM_REQUEST_IRQFD = KVM_IRQFD;
static const unsigned long CKVM_REQUEST_IOEVENTFD = KVM_IOEVENTFD;
static const unsigned long CKVM_REQUEST_GET_CLOCK = KVM_GET_CLOCK;
static const unsigned long CKVM_REQUEST_SET_CLOCK = KVM_SET_CLOCK;
static const unsigned long CKVM_REQUEST_RUN = KVM_RUN;
static const unsigned long CKVM_REQUEST_GET_REGS = KVM_GET_REGS;
static const unsigned long CKVM_REQUEST_SET_REGS = KVM_SET_REGS;
static const unsigned long CKVM_REQUEST_GET_SREGS = KVM_GET_SREGS;
static const unsigned long CKVM_REQUEST_SET_SREGS = KVM_SET_SREGS;
static const unsigned long CKVM_REQUEST_GET_SREGS2 = KVM_GET_SREGS2;
static const unsigned long CKVM_REQUEST_SET_SREGS2 = KVM_SET_SREGS2;
static const unsigned long CKVM_REQUEST_GET_MSRS = KVM_GET_MSRS;
static const unsigned long CKVM_REQUEST_SET_MSRS = KVM_SET_MSRS;
static const unsigned long CKVM_REQUEST_SET_CPUID2 = KVM_SET_CPUID2;
static const unsigned long CKVM_REQUEST_GET_LAPIC = KVM_GET_LAPIC;
static const unsigned long CKVM_REQUEST_SET_LAPIC = KVM_SET_LAPIC;
static const unsigned long CKVM_REQUEST_INTERRUPT = KVM_INTERRUPT;
static const unsigned long CKVM_REQUEST_GET_MP_STATE = KVM_GET_MP_STATE;
static const unsigned long CKVM_REQUEST_SET_MP_STATE = KVM_SET_MP_STATE;
static const unsigned long CKVM_REQUEST_GET_VCPU_EVENTS = KVM_GET_VCPU_EVENTS;
static const unsigned long CKVM_REQUEST_SET_VCPU_EVENTS = KVM_SET_VCPU_EVENTS;
static const unsigned long CKVM_REQUEST_GET_DEBUGREGS = KVM_GET_DEBUGREGS;
static const unsigned long CKVM_REQUEST_SET_DEBUGREGS = KVM_SET_DEBUGREGS;
static const unsigned long CKVM_REQUEST_GET_XSAVE = KVM_GET_XSAVE;
static const unsigned long CKVM_REQUEST_GET_XSAVE2 = KVM_GET_XSAVE2;
static const unsigned long CKVM_REQUEST_SET_XSAVE = KVM_SET_XSAVE;
static const unsigned long CKVM_REQUEST_GET_XCRS = KVM_GET_XCRS;
static const unsigned long CKVM_REQUEST_SET_XCRS = KVM_SET_XCRS;
static const unsigned long CKVM_REQUEST_GET_TSC_KHZ = KVM_GET_TSC_KHZ;
static const unsigned long CKVM_REQUEST_SET_TSC_KHZ = KVM_SET_TSC_KHZ;
static const unsigned long CKVM_REQUEST_SET_GUEST_DEBUG = KVM_SET_GUEST_DEBUG;
static const unsigned long CKVM_REQUEST_GET_DEVICE_ATTR = KVM_GET_DEVICE_ATTR;
static const unsigned long CKVM_REQUEST_SET_DEVICE_ATTR = KVM_SET_DEVICE_ATTR;
static const unsigned long CKVM_REQUEST_GET_STATS_FD = KVM_GET_STATS_FD;

/// A CPUID entry counts for one ECX only (a macro that Swift cannot read, either).
static const __u32 CKVM_CPUID_FLAG_SIGNIFICANT_INDEX = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
/// Flags of struct kvm_ioeventfd.
static const __u32 CKVM_IOEVENTFD_MATCH = KVM_IOEVENTFD_FLAG_DATAMATCH;
static const __u32 CKVM_IOEVENTFD_PORT = KVM_IOEVENTFD_FLAG_PIO;
static const __u32 CKVM_IOEVENTFD_DEASSIGN = KVM_IOEVENTFD_FLAG_DEASSIGN;

#endif
