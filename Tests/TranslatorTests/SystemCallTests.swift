// SYSCALL and SYSRET in a loop, so that both go from translation to translation, until something out of the ordinary happens:
// whatever it is, the translator has to leave what the interpreter leaves.

import Memory
import Testing
import Translator
import VirtualCPU
import X86

@Suite struct SystemCallTests {
    /// What happens at the 40th system call.
    struct Event: Sendable, CustomStringConvertible {
        var description: String
        /// Before SYSRET, in the kernel.
        var code: [UInt8] = []
        var star: UInt64 = 0x0018_0008 << 32
        var sfmask: UInt64 = 0x700
        var userFlags: UInt64 = 2
        var interruptWaits = false
    }

    /// mov rcx, value
    private static func movRCX(_ value: UInt64) -> [UInt8] {
        [0x48, 0xb9] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// or r11d, value
    private static func orR11(_ value: UInt32) -> [UInt8] {
        [0x41, 0x81, 0xcb] + (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static let events: [Event] = [
        Event(description: "nothing"),
        Event(description: "no flag is masked", sfmask: 0, userFlags: 0x20_08d7),
        Event(description: "all flags are masked", sfmask: .max, userFlags: 0x20_4ed7),
        Event(description: "the user has AC", userFlags: 0x4_0002),
        Event(description: "the user has AC, and it is masked", sfmask: 0x4_0000, userFlags: 0x4_0002),
        Event(description: "selectors wrap", star: 0xfff3_fffb << 32),
        Event(description: "flags change", code: orR11(0x8d5)),
        Event(description: "IF is set", code: orR11(0x200)),
        Event(description: "IF is set, and an interrupt waits", code: orR11(0x200), interruptWaits: true),
        Event(description: "an interrupt waits on", interruptWaits: true),
        Event(description: "AC is set", code: orR11(0x4_0000)),
        Event(description: "TF is set", code: orR11(0x100)),
        Event(description: "RF is set", code: orR11(0x1_0000)),
        Event(description: "VM and reserved flags are set", code: orR11(0xffc2_8028)),
        Event(description: "no canonical address", code: movRCX(0x8000_0000_0000)),
        Event(description: "nothing is mapped there", code: movRCX(0x4000_0000)),
        Event(description: "to the kernel's half", code: movRCX(0xffff_ffff_8000_0000)),
        // mov ecx, 0xc0000080; rdmsr; and al, 0xfe; wrmsr
        Event(description: "SCE is cleared", code: [0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32, 0x24, 0xfe, 0x0f, 0x30]),
        // mov ax, 0x10; mov ss, ax
        Event(description: "a shadow", code: [0x66, 0xb8, 0x10, 0, 0x8e, 0xd0]),
        // mov eax, 0x701; mov dr7, rax
        Event(description: "a breakpoint is on", code: [0xb8, 1, 7, 0, 0, 0x0f, 0x23, 0xf8]),
    ]

    @Test(arguments: events, ["x86-64-v2", "x86-64-v2,vendor=amd"])
    func goesAsInterpreted(_ event: Event, model: String) throws {
        // At once, and in counted steps.
        for budget in [nil, 7, 23, 100] as [UInt64?] {
            let expected = try Self.run(InterpretEngine(), event, model: model, budget: budget)
            let actual = try Self.run(TranslateEngine(threshold: 0), event, model: model, budget: budget)
            #expect(expected.count == actual.count)
            for (n, (expected, actual)) in zip(expected, actual).enumerated() where expected != actual {
                #expect(expected.gpr == actual.gpr, "step \(n) of \(String(describing: budget))")
                #expect(expected.rip == actual.rip)
                #expect(expected.rflags == actual.rflags)
                #expect(expected.segments == actual.segments)
                #expect(expected == actual)
                return
            }
            #expect(expected.last?.gpr[15] ?? 0 >= 40, "there were as many calls")
        }
    }

    // MARK: The machine

    /// Has an interrupt, if one waits.
    private final class InterruptBus: Bus {
        func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
        func writePort(_ port: UInt16, size: Int, value: UInt32) {}
        func readMMIO(_ address: UInt64, size: Int) -> UInt64 { .max }
        func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
        func acknowledgeInterrupt() -> UInt8 { 0x20 }
        func endOfInterrupt(vector: UInt8) {}
    }

    private static let size: UInt64 = 2 << 20
    private static let user: UInt64 = 0x10_0000, kernel: UInt64 = 0x11_0000, handlers: UInt64 = 0x12_0000

    /// The states after each step of a run, which ends where a handler halts.
    private static func run(
        _ engine: any Engine, _ event: Event, model: String, budget: UInt64?
    ) throws -> [CPUState] {
        let memory = try GuestMemory(size: size)
        let vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: model, vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: InterruptBus()))
        for region in memory.regions { try vm.map(region) }
        let cpu = try vm.makeVCPU(id: 0)
        try fill(memory, event)
        var state = Self.state
        state.rflags = event.userFlags
        state.msrs[0xc000_0080] = 0x501
        state.msrs[0xc000_0081] = event.star
        state.msrs[0xc000_0082] = kernel
        state.msrs[0xc000_0084] = event.sfmask
        try cpu.importState(state)
        vm.setINTR(event.interruptWaits)
        var states: [CPUState] = []
        for _ in 0..<200 {
            let exit = cpu.run(budget: budget)
            var state = try cpu.exportState()
            state.tsc = 0
            states.append(state)
            guard exit == .budgetSpent else { break }
        }
        return states
    }

    private static func fill(_ memory: GuestMemory, _ event: Event) throws {
        func put(_ address: UInt64, _ value: UInt64) throws {
            try memory.writeInteger(value, at: GuestPhysicalAddress(address))
        }
        func put(_ address: UInt64, code: [UInt8]) throws { try memory.write(code, at: GuestPhysicalAddress(address)) }
        // All memory is the user's too.
        try put(0x1000, 0x2007)
        try put(0x2000, 0x3007)
        try put(0x3000, 0x87)
        for (n, descriptor) in [
            0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
        ].enumerated() as EnumeratedSequence<[UInt64]> { try put(0x5008 + UInt64(n) * 8, descriptor) }
        try put(0x6804, 0x18_0000)  // RSP0
        for vector in 0..<64 as Range<UInt64> {
            let handler = handlers + vector * 16
            try put(0x6000 + vector * 16, handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16) << 48)
            try put(handler, 0xf4)
        }
        // 1: add rax, rdi; mov rsi, r11; syscall; dec rdi; jnz 1b; hlt
        try put(user, code: [0x48, 0x01, 0xf8, 0x4c, 0x89, 0xde, 0x0f, 0x05, 0x48, 0xff, 0xcf, 0x75, 0xf3, 0xf4])
        // inc r15; cmp r15, 40; jne 1f; …; 1: sysretq
        try put(
            kernel,
            code: [0x49, 0xff, 0xc7, 0x49, 0x83, 0xff, 40, 0x75, UInt8(event.code.count)] + event.code
                + [0x48, 0x0f, 0x07])
    }

    private static var state: CPUState {
        var state = CPUState()
        let data = SegmentState(selector: 0x23, base: 0, limit: .max, attributes: 0xc0f3)
        for segment in [0, 2, 3, 4, 5] { state.segments[segment] = data }
        state.segments[1] = SegmentState(selector: 0x2b, base: 0, limit: .max, attributes: 0xa0fb)
        state.segments[7] = SegmentState(selector: 0x30, base: 0x6800, limit: 0x67, attributes: 0x8b)
        state.gdtr = TableState(base: 0x5000, limit: 0x2f)
        state.idtr = TableState(base: 0x6000, limit: 0x3ff)
        state.cr0 = 0x8005_0033
        state.cr3 = 0x1000
        state.cr4 = 0x620
        state.gpr = (0..<16).map { 0x1111_1111 &* UInt64($0) }
        state.gpr[4] = 0x14_0000
        state.gpr[7] = 60
        state.gpr[15] = 0
        state.rip = user
        return state
    }
}
