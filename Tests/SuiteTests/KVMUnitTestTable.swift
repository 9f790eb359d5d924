// The tests of kvm-unit-tests' x86/unittests.cfg that a machine without nested virtualization can run, with what is
// expected of each, for both builds of the suite: x86_64, and i386, which leaves out what needs 64-bit mode and adds task
// switches and CMPXCHG8B. Those for VMX and SVM, and those that need QEMU's own devices, are not here
// (Docs/conformance.md).

extension KVMUnitTest {
    /// The table for the x86_64 build.
    static let all64 = only64 + both + events + unoffered64 + unoffered
    /// The table for the i386 build.
    static let all32 = only32 + both + events + unoffered

    private static let only64 = [
        KVMUnitTest(name: "x2apic", file: "apic", cpus: 2),
        KVMUnitTest(name: "xapic", file: "apic", cpus: 2, cpu: "host,-x2apic", seconds: 400),
        KVMUnitTest(name: "ioapic", file: "ioapic", cpus: 4),
        KVMUnitTest(name: "access", file: "access_test", seconds: 300),
        KVMUnitTest(name: "idt_test", file: "idt_test"),
        KVMUnitTest(name: "memory", file: "memory", cpu: "max"),
        KVMUnitTest(name: "msr64", file: "msr", cpu: "x86-64-v1"),
        KVMUnitTest(name: "syscall", file: "syscall", cpu: "host,vendor=amd"),
        KVMUnitTest(name: "xsave", file: "xsave"),
        KVMUnitTest(name: "rmap_chain", file: "rmap_chain"),
        KVMUnitTest(name: "pcid-enabled", file: "pcid", cpu: "host,+pcid,+invpcid"),
        KVMUnitTest(name: "pcid-disabled", file: "pcid", cpu: "host,-pcid,-invpcid"),
        KVMUnitTest(name: "pcid-asymmetric", file: "pcid", cpu: "host,-pcid,+invpcid"),
        KVMUnitTest(name: "rdpru", file: "rdpru"),
        KVMUnitTest(name: "pku", file: "pku", cpu: "max"),
        KVMUnitTest(name: "pks", file: "pks", cpu: "max"),
        KVMUnitTest(name: "debug", file: "debug"),
        KVMUnitTest(name: "lam", file: "lam"),
    ]

    private static let only32 = [
        KVMUnitTest(name: "cmpxchg8b", file: "cmpxchg8b"),
        KVMUnitTest(name: "taskswitch", file: "taskswitch"),
        KVMUnitTest(name: "taskswitch2", file: "taskswitch2"),
    ]

    private static let both = [
        KVMUnitTest(name: "smptest", file: "smptest", cpus: 2),
        KVMUnitTest(name: "smptest3", file: "smptest", cpus: 3),
        KVMUnitTest(name: "smap", file: "smap"),
        KVMUnitTest(name: "emulator", file: "emulator"),
        KVMUnitTest(name: "eventinj", file: "eventinj"),
        KVMUnitTest(name: "hypercall", file: "hypercall"),
        KVMUnitTest(name: "kvmclock_test", file: "kvmclock_test", cpus: 2, arguments: "100000"),
        KVMUnitTest(name: "msr", file: "msr", cpu: "host,vendor=intel"),
        KVMUnitTest(name: "msr (host)", file: "msr"),
        KVMUnitTest(name: "pmu", file: "pmu", cpu: "max,vendor=intel"),
        KVMUnitTest(name: "realmode", file: "realmode"),
        KVMUnitTest(name: "setjmp", file: "setjmp"),
        KVMUnitTest(name: "sieve", file: "sieve", seconds: 600),
        KVMUnitTest(name: "tsc", file: "tsc"),
        KVMUnitTest(name: "tsc_adjust", file: "tsc_adjust"),
        KVMUnitTest(name: "umip", file: "umip"),
        KVMUnitTest(name: "la57", file: "la57"),
    ]

    /// Those that time single events: name, argument and number of vCPUs.
    private static let events = [
        ("cpuid", "cpuid", 1), ("vmcall", "vmcall", 1), ("mov_from_cr8", "mov_from_cr8", 1),
        ("mov_to_cr8", "mov_to_cr8", 1), ("inl_pmtimer", "inl_from_pmtimer", 1), ("ipi", "ipi", 2),
        ("ipi_halt", "ipi_halt", 2), ("ple_round_robin", "ple_round_robin", 1), ("tscdeadline", "tscdeadline", 1),
        ("tscdeadline_immed", "tscdeadline_immed", 1), ("cr0_wp", "toggle_cr0_wp", 2), ("cr4_pge", "toggle_cr4_pge", 2),
    ].map { name, argument, cpus in
        KVMUnitTest(name: "vmexit_\(name)", file: "vmexit", cpus: cpus, arguments: argument)
    }

    /// Of the x86_64 build alone, and for things that Trapeze does not offer.
    private static let unoffered64 = [
        KVMUnitTest(name: "cet", file: "cet", cpus: 2, expectation: .skips("no CET is offered")),
        KVMUnitTest(
            name: "hyperv_clock", file: "hyperv_clock", cpus: 2, expectation: .skips("Hyper-V is not imitated")),
        KVMUnitTest(name: "pmu_lbr", file: "pmu_lbr", expectation: .skips("no last branch records are kept")),
        KVMUnitTest(name: "pmu_pebs", file: "pmu_pebs", expectation: .skips("no events are sampled")),
        KVMUnitTest(
            name: "vmware_backdoors", file: "vmware_backdoors",
            expectation: .fails("VMware's backdoor is not imitated")),
    ]

    /// For things that Trapeze does not offer.
    private static let unoffered = [
        KVMUnitTest(
            name: "asyncpf", file: "asyncpf", memory: 2048,
            expectation: .skips("no asynchronous page faults are offered")),
        KVMUnitTest(name: "tsx-ctrl", file: "tsx-ctrl", expectation: .skips("no TSX is offered")),
        KVMUnitTest(
            name: "hyperv_synic", file: "hyperv_synic", cpus: 2, expectation: .skips("Hyper-V is not imitated")),
        KVMUnitTest(
            name: "hyperv_connections", file: "hyperv_connections", cpus: 2,
            expectation: .skips("Hyper-V is not imitated")),
        KVMUnitTest(
            name: "hyperv_stimer", file: "hyperv_stimer", cpus: 2, expectation: .skips("Hyper-V is not imitated")),
        KVMUnitTest(name: "s3", file: "s3", seconds: 10, expectation: .fails("no sleep state but off is offered")),
    ]
}
