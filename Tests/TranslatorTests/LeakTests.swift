// What a translator takes of the host, it gives back.

import Foundation
import Memory
import Testing
import Translator
import VirtualCPU

@Suite struct LeakTests {
    /// Lines of this process's map. Other tests' go up and down meanwhile.
    private func mappings() throws -> Int {
        try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n").count
    }

    @Test func vCPUsLeaveNoMappingsBehind() throws {
        let memory = try GuestMemory(size: 1 << 16)
        func makeVCPU() throws {
            let vm = try TranslateEngine().makeVM(
                EngineConfiguration(
                    cpuModel: "max", vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: EmptyBus()))
            _ = try vm.makeVCPU(id: 0)
        }
        try makeVCPU()
        let before = try mappings()
        for _ in 0..<1000 { try makeVCPU() }
        // One mapping of each would be a thousand.
        #expect(try mappings() - before < 500)
    }
}
