// Virtual machines that come and go leave nothing behind, in the process or in the kernel.

import Foundation
import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct LifeTests {
        private static func entries(_ folder: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: folder).count) ?? 0
        }

        /// Resident memory in KiB.
        private static func residentMemory() -> Int {
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            return line.flatMap { Int($0.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]) } ?? 0
        }

        @Test("1,000 machines are made, run and let go") func thousand() throws {
            try requireKVM()
            func once() throws {
                let machine = try TestMachine(.long64, code: [0xb0, 7] + Code.exit)
                #expect(machine.runToExitPort() == .kicked)
            }
            for _ in 0..<50 { try once() }
            Thread.sleep(forTimeInterval: 0.1)
            let before = (Self.entries("/proc/self/fd"), Self.entries("/proc/self/task"), Self.residentMemory())
            for _ in 0..<1000 { try once() }
            // Watchdogs' threads look every few milliseconds whether they are done.
            Thread.sleep(forTimeInterval: 0.1)
            let after = (Self.entries("/proc/self/fd"), Self.entries("/proc/self/task"), Self.residentMemory())
            // Other suites of the process come and go meanwhile; a thousand of anything is not theirs.
            #expect(after.0 - before.0 < 100, "descriptors: \(before.0), then \(after.0)")
            #expect(after.1 - before.1 < 100, "threads: \(before.1), then \(after.1)")
            #expect(after.2 - before.2 < 64 << 10, "resident memory in KiB: \(before.2), then \(after.2)")
        }

        @Test("All memory slots of the kernel are used, and the next is refused by name") func slots() throws {
            try requireKVM()
            let limit = try #require(KVMEngine.describeCapabilities().first { $0.name == "NR_MEMSLOTS" }).value
            let machine = try TestMachine(.long64, code: [0xb0, 7] + Code.exit)
            // Pages of read-only memory, spread over several owners, who look for overlaps among their own.
            var owners: [GuestMemory] = []
            func region(_ number: Int) throws -> MemoryRegion {
                if number % 1024 == 0 { owners.append(try GuestMemory(size: 1 << 20)) }
                let base = GuestPhysicalAddress(0x1_0000_0000 + UInt64(number) << 13)
                return try owners[number / 1024].addROM(base: base, contents: [0xa5])
            }
            var regions: [MemoryRegion] = []
            for number in 0..<limit - machine.memory.regions.count {
                regions.append(try region(number))
                try machine.vm.map(regions[number])
            }
            let another = try region(regions.count)
            let error = #expect(throws: EngineError.self) { try machine.vm.map(another) }
            #expect(error?.description == "KVM has no memory slot left")
            // The machine runs on, and a slot that is given back can be used again.
            #expect(machine.runToExitPort() == .kicked)
            try machine.vm.unmap(regions[0])
            try machine.vm.map(another)
        }
    }
}
