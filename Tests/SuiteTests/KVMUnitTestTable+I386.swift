// The same for the suite's i386 build, which leaves out what needs 64-bit mode and adds task switches and CMPXCHG8B.

extension KVMUnitTest {
    /// The table for the i386 build.
    static let all32: [KVMUnitTest] =
        [
            KVMUnitTest(name: "cmpxchg8b", file: "cmpxchg8b"),
            KVMUnitTest(name: "smptest", file: "smptest", cpus: 2),
            KVMUnitTest(name: "smptest3", file: "smptest", cpus: 3),
            KVMUnitTest(name: "smap", file: "smap"),
            KVMUnitTest(name: "emulator", file: "emulator"),
            KVMUnitTest(name: "eventinj", file: "eventinj"),
            KVMUnitTest(name: "hypercall", file: "hypercall"),
            KVMUnitTest(name: "msr", file: "msr", cpu: "host,vendor=intel"),
            KVMUnitTest(name: "msr (host)", file: "msr"),
            KVMUnitTest(name: "realmode", file: "realmode"),
            KVMUnitTest(name: "setjmp", file: "setjmp"),
            KVMUnitTest(name: "sieve", file: "sieve", seconds: 600),
            KVMUnitTest(name: "tsc", file: "tsc"),
            KVMUnitTest(name: "tsc_adjust", file: "tsc_adjust"),
            KVMUnitTest(name: "taskswitch", file: "taskswitch"),
            KVMUnitTest(name: "taskswitch2", file: "taskswitch2"),
            KVMUnitTest(name: "umip", file: "umip"),
            KVMUnitTest(name: "la57", file: "la57"),
        ]
        + events.map { name, argument, cpus in
            KVMUnitTest(name: "vmexit_\(name)", file: "vmexit", cpus: cpus, arguments: argument)
        }
        + [
            KVMUnitTest(
                name: "asyncpf", file: "asyncpf", memory: 2048,
                expectation: .skips("no asynchronous page faults are offered")),
            KVMUnitTest(
                name: "kvmclock_test", file: "kvmclock_test", cpus: 2, arguments: "1000 1700000000",
                expectation: .skips("no kvmclock is offered")),
            KVMUnitTest(name: "tsx-ctrl", file: "tsx-ctrl", expectation: .skips("no TSX is offered")),
            KVMUnitTest(
                name: "hyperv_synic", file: "hyperv_synic", cpus: 2, expectation: .skips("Hyper-V is not imitated")),
            KVMUnitTest(
                name: "hyperv_connections", file: "hyperv_connections", cpus: 2,
                expectation: .skips("Hyper-V is not imitated")),
            KVMUnitTest(
                name: "hyperv_stimer", file: "hyperv_stimer", cpus: 2, expectation: .skips("Hyper-V is not imitated")),
            KVMUnitTest(
                name: "pmu", file: "pmu", expectation: .fails("there is no performance monitoring unit")),
            KVMUnitTest(
                name: "s3", file: "s3", seconds: 10, expectation: .fails("no sleep state but off is offered")),
        ]
}
