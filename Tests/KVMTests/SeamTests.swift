// Each call to the kernel made to fail: an error that says what and why, or a retry; and nothing is left behind.

import CKVM
import Foundation
import KVM
import Memory
import Testing
import VirtualCPU

/// What the seam does. One for the process, as the seam is; tests of this module run one after the other.
private enum Fault {
    // SAFETY: set while no other thread makes calls.
    nonisolated(unsafe) static var request: UInt = 0
    nonisolated(unsafe) static var result: Int32 = 0
    /// How many more calls of this kind go through before one fails, and how many fail then.
    nonisolated(unsafe) static var after = 0
    nonisolated(unsafe) static var times = 0
    nonisolated(unsafe) static var hits = 0
    /// The thread whose calls count: other suites of the process use KVM at the same time.
    nonisolated(unsafe) static var thread: Int32 = 0

    /// Lets calls of a kind fail while `body` runs; how many did.
    static func inject<R>(
        _ request: UInt, _ result: Int32, after: Int = 0, times: Int = .max, _ body: () throws -> R
    ) rethrows -> (R, hits: Int) {
        (Self.request, Self.result, Self.after, Self.times, hits) = (request, result, after, times, 0)
        thread = ckvm_thread()
        ckvm_set_seam { _, request, result in
            guard ckvm_thread() == Fault.thread, request == Fault.request, Fault.times > 0 else { return false }
            if Fault.after > 0 {
                Fault.after -= 1
                return false
            }
            Fault.times -= 1
            Fault.hits += 1
            result.pointee = Fault.result
            return true
        }
        defer { ckvm_set_seam(nil) }
        return (try body(), hits)
    }
}

extension KVMSuite {
    @Suite struct SeamTests {
        private static let emfile: Int32 = -24
        private static let enomem: Int32 = -12
        private static let eio: Int32 = -5
        private static let efault: Int32 = -14
        private static let eagain: Int32 = -11
        private static let eintr: Int32 = -4
        private static let eacces: Int32 = -13
        private static let enoent: Int32 = -2

        /// Descriptors of the process, once the watchdogs of machines that have gone have let go of theirs.
        private static var descriptors: Int {
            Thread.sleep(forTimeInterval: 0.015)
            return (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        }

        /// The calls that making a machine and setting its state take.
        static let makingCalls: [(name: String, request: UInt)] = [
            ("KVM_CREATE_VM", CKVM_REQUEST_CREATE_VM), ("KVM_ENABLE_CAP", CKVM_REQUEST_ENABLE_CAP),
            ("KVM_SET_TSS_ADDR", CKVM_REQUEST_SET_TSS_ADDR),
            ("KVM_SET_IDENTITY_MAP_ADDR", CKVM_REQUEST_SET_IDENTITY_MAP_ADDR),
            ("KVM_GET_MSR_INDEX_LIST", CKVM_REQUEST_GET_MSR_INDEX_LIST),
            ("KVM_GET_SUPPORTED_CPUID", CKVM_REQUEST_GET_SUPPORTED_CPUID),
            ("KVM_SET_USER_MEMORY_REGION", CKVM_REQUEST_SET_USER_MEMORY_REGION),
            ("KVM_CREATE_VCPU", CKVM_REQUEST_CREATE_VCPU),
            ("KVM_GET_VCPU_MMAP_SIZE", CKVM_REQUEST_GET_VCPU_MMAP_SIZE), ("mmap", CKVM_REQUEST_MAP),
            ("KVM_SET_CPUID2", CKVM_REQUEST_SET_CPUID2), ("KVM_SET_REGS", CKVM_REQUEST_SET_REGS),
            ("KVM_SET_SREGS2", CKVM_REQUEST_SET_SREGS2), ("KVM_SET_XCRS", CKVM_REQUEST_SET_XCRS),
            ("KVM_SET_XSAVE", CKVM_REQUEST_SET_XSAVE), ("KVM_SET_MSRS", CKVM_REQUEST_SET_MSRS),
            ("KVM_SET_DEBUGREGS", CKVM_REQUEST_SET_DEBUGREGS), ("KVM_SET_LAPIC", CKVM_REQUEST_SET_LAPIC),
            ("KVM_SET_VCPU_EVENTS", CKVM_REQUEST_SET_VCPU_EVENTS),
            ("KVM_SET_MP_STATE", CKVM_REQUEST_SET_MP_STATE), ("KVM_GET_STATS_FD", CKVM_REQUEST_GET_STATS_FD),
        ]
        /// Those that looking at a state takes.
        static let lookingCalls: [(name: String, request: UInt)] = [
            ("KVM_GET_MP_STATE", CKVM_REQUEST_GET_MP_STATE), ("KVM_GET_REGS", CKVM_REQUEST_GET_REGS),
            ("KVM_GET_SREGS2", CKVM_REQUEST_GET_SREGS2), ("KVM_GET_DEBUGREGS", CKVM_REQUEST_GET_DEBUGREGS),
            ("KVM_GET_XCRS", CKVM_REQUEST_GET_XCRS), ("KVM_GET_XSAVE", CKVM_REQUEST_GET_XSAVE),
            ("KVM_GET_MSRS", CKVM_REQUEST_GET_MSRS), ("KVM_GET_VCPU_EVENTS", CKVM_REQUEST_GET_VCPU_EVENTS),
            ("KVM_GET_LAPIC", CKVM_REQUEST_GET_LAPIC),
        ]

        @Test(
            "A machine that cannot be made leaves nothing behind, and says why", arguments: makingCalls.map(\.name),
            [emfile, enomem, eio, efault])
        func making(call: String, error: Int32) throws {
            try requireKVM()
            let request = try #require(Self.makingCalls.first { $0.name == call }).request
            let before = Self.descriptors
            let (message, hits) = Fault.inject(request, error) { () -> String? in
                do {
                    _ = try TestMachine(.long64, code: Code.spin)
                    return nil
                } catch {
                    return "\(error)"
                }
            }
            guard hits > 0 else { try Test.cancel("this host's KVM is not asked for \(call)") }
            let text = try #require(message, "\(call) failed, and nobody noticed")
            #expect(text.contains(call) && text.contains(String(cString: strerror(-error))), "\(text)")
            // Other suites of the process open and close descriptors meanwhile: what is left behind shows by repetition.
            _ = Fault.inject(request, error) {
                for _ in 0..<30 { _ = try? TestMachine(.long64, code: Code.spin) }
            }
            #expect(Self.descriptors - before < 25)
        }

        @Test(
            "What a signal interrupts is done again", arguments: (makingCalls + lookingCalls).map(\.name),
            [eintr, eagain])
        func retrying(call: String, error: Int32) throws {
            try requireKVM()
            let request = try #require((Self.makingCalls + Self.lookingCalls).first { $0.name == call }).request
            guard request != CKVM_REQUEST_MAP else { try Test.cancel("mmap is not interrupted") }
            let (_, hits) = try Fault.inject(request, error, times: 3) {
                let machine = try TestMachine(.long64, code: Code.spin)
                try withExtendedLifetime(machine) { _ = try machine.vcpu.exportState() }
            }
            if hits == 0 { try Test.cancel("this host's KVM is not asked for \(call)") }
        }

        @Test(
            "A state that cannot be looked at is an error", arguments: lookingCalls.map(\.name), [enomem, eio, efault])
        func looking(call: String, error: Int32) throws {
            try requireKVM()
            let request = try #require(Self.lookingCalls.first { $0.name == call }).request
            let machine = try TestMachine(.long64, code: Code.spin)
            let (message, hits) = Fault.inject(request, error) { () -> String? in
                do {
                    _ = try machine.vcpu.exportState()
                    return nil
                } catch {
                    return "\(error)"
                }
            }
            if hits == 0 { try Test.cancel("this host's KVM is not asked for \(call)") }
            let text = try #require(message, "\(call) failed, and nobody noticed")
            #expect(text.contains(call), "\(text)")
            // It has been the call that failed, not the vCPU.
            _ = try machine.vcpu.exportState()
        }

        @Test("KVM_RUN: interrupted runs go on, others end with the reason") func run() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: [0xb0, 7] + Code.exit)
            let (exit, hits) = Fault.inject(CKVM_REQUEST_RUN, Self.eagain, times: 5) { machine.runToExitPort() }
            #expect(exit == .kicked && hits == 5)
            for error in [Self.eio, Self.enomem, Self.efault] {
                let machine = try TestMachine(.long64, code: [0xb0, 7] + Code.exit)
                let (exit, _) = Fault.inject(CKVM_REQUEST_RUN, error, times: 1) { machine.runToExitPort() }
                guard case .failed(let reason) = exit else {
                    Issue.record("\(exit)")
                    continue
                }
                #expect(reason.description.contains("KVM_RUN"), "\(reason)")
                // It can be tried again.
                #expect(machine.runToExitPort() == .kicked)
            }
        }

        @Test("A shared page that is too short is refused") func shortMap() throws {
            try requireKVM()
            let before = Self.descriptors
            let (message, _) = Fault.inject(CKVM_REQUEST_GET_VCPU_MMAP_SIZE, 100) { () -> String? in
                do {
                    _ = try TestMachine(.long64, code: Code.spin)
                    return nil
                } catch {
                    return "\(error)"
                }
            }
            #expect(message?.contains("100 bytes") == true, "\(message ?? "accepted")")
            _ = Fault.inject(CKVM_REQUEST_GET_VCPU_MMAP_SIZE, 100) {
                for _ in 0..<30 { _ = try? TestMachine(.long64, code: Code.spin) }
            }
            #expect(Self.descriptors - before < 25)
        }

        @Test("The device: no node, no permission, an old interface, a capability that is not there") func device()
            throws
        {
            try requireKVM()
            func reason(_ request: UInt, _ result: Int32, after: Int = 0, times: Int = .max) -> String {
                let (availability, _) = Fault.inject(request, result, after: after, times: times) {
                    KVMEngine().probe()
                }
                guard case .unavailable(let reason) = availability else { return "available" }
                return reason
            }
            #expect(reason(CKVM_REQUEST_OPEN, Self.enoent).hasPrefix("there is no /dev/kvm"))
            #expect(reason(CKVM_REQUEST_OPEN, Self.eacces).hasPrefix("no permission for /dev/kvm: "))
            #expect(reason(CKVM_REQUEST_OPEN, Self.emfile).contains("ulimit -n"))
            #expect(reason(CKVM_REQUEST_GET_API_VERSION, 11).contains("version 11"))
            #expect(reason(CKVM_REQUEST_CHECK_EXTENSION, 0).contains("KVM_CAP_IMMEDIATE_EXIT"))
            #expect(reason(CKVM_REQUEST_CHECK_EXTENSION, 0, after: 1, times: 1).contains("KVM_CAP_IMMEDIATE_EXIT"))
            #expect(KVMEngine().probe() != .unavailable(reason: ""))
        }

        @Test("A slot that the kernel refuses is free for the next") func refusedSlots() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Code.spin)
            for number in 1...31 {
                let base = GuestPhysicalAddress(0x1000_0000 + UInt64(number) << 20)
                let rom = try machine.memory.addROM(base: base, contents: [1])
                let (message, _) = Fault.inject(CKVM_REQUEST_SET_USER_MEMORY_REGION, -22) { () -> String? in
                    do {
                        try machine.vm.map(rom)
                        return nil
                    } catch {
                        return "\(error)"
                    }
                }
                #expect(message?.contains("KVM_SET_USER_MEMORY_REGION") == true)
                // The slot that failed is free for the next.
                try machine.vm.map(rom)
                try machine.vm.unmap(rom)
            }
        }
    }
}
