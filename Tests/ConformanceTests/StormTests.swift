// Interrupt storms, and timers at periods shorter than anybody can serve: the guest must get every interrupt that a CPU
// would, its program must get on between them, and the machine must stop when it is told to. A guest of a few bytes takes
// interrupts until it has had enough. TRAPEZE_STORM_INTERRUPTS is how many (ten million for a nightly run).

import Machine
import TestSupport
import Testing
import VirtualCPU

/// A source of interrupts, as code for 64-bit mode.
struct Storm: Sendable, CustomTestStringConvertible {
    var name: String
    /// Starts it.
    var setup: [UInt8] = []
    /// Runs in every turn of the guest's loop.
    var body: [UInt8] = []
    /// Ends an interrupt; may use RAX, RCX and RDX.
    var endOfInterrupt: [UInt8]
    /// One interrupt for so many that are asked for: the source is slow.
    var divisor = 1
    /// Whether interrupts come at all; if not, the loop's turns end the run.
    var comes = true
    /// In counted time the guest's loop starts the counter anew before its first tick is over, and it never fires.
    var needsHostTime = false

    var testDescription: String { name }

    // MARK: Pieces of code

    private static func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    private static func wrmsr(_ register: Int, _ value: Int) -> [UInt8] {
        // mov ecx, register; mov eax, value; xor edx, edx; wrmsr
        [0xb9] + word(register) + [0xb8] + word(value) + [0x31, 0xd2, 0x0f, 0x30]
    }
    // mov al, value; out port, al
    private static func out(_ port: UInt8, _ value: UInt8) -> [UInt8] { [0xb0, value, 0xe6, port] }

    private static let apicEnd = wrmsr(0x80b, 0)
    /// The PICs: vectors 40H and 48H, all lines open.
    private static let pics =
        out(0x20, 0x11) + out(0x21, 0x40) + out(0x21, 4) + out(0x21, 1) + out(0xa0, 0x11) + out(0xa1, 0x48)
        + out(0xa1, 2) + out(0xa1, 1) + out(0x21, 0) + out(0xa1, 0) + wrmsr(0x835, 0x700)
    private static let picEnd = out(0xa0, 0x20) + out(0x20, 0x20)
    /// Counter 0 of the PIT in `mode` with a reload value.
    private static func pit(mode: UInt8, reload: UInt8) -> [UInt8] {
        pics + out(0x43, 0x30 | mode << 1) + out(0x40, reload) + out(0x40, 0)
    }

    /// The divisor of a source that host timers drive: thousands of interrupts a second, where instructions bring a million.
    private static let slow = 20

    static let all: [Storm] = [
        Storm(name: "IPIs to itself", body: wrmsr(0x83f, 0x40), endOfInterrupt: apicEnd),
        Storm(name: "INT n", body: [0xcd, 0x40], endOfInterrupt: []),
        Storm(
            name: "local APIC timer, periodic, count 1",
            setup: wrmsr(0x83e, 0x0b) + wrmsr(0x832, 0x2_0040) + wrmsr(0x838, 1),
            endOfInterrupt: apicEnd, divisor: slow),
        Storm(
            name: "local APIC timer, one-shot, count 1, again and again",
            setup: wrmsr(0x83e, 0x0b) + wrmsr(0x832, 0x40),
            body: wrmsr(0x838, 1), endOfInterrupt: apicEnd, divisor: slow),
        Storm(
            name: "TSC deadlines in the past", setup: wrmsr(0x832, 0x4_0040), body: wrmsr(0x6e0, 1),
            endOfInterrupt: apicEnd),
        Storm(name: "PIT, mode 2, reload 2", setup: pit(mode: 2, reload: 2), endOfInterrupt: picEnd, divisor: slow),
        Storm(name: "PIT, mode 3, reload 2", setup: pit(mode: 3, reload: 2), endOfInterrupt: picEnd, divisor: slow),
        Storm(
            name: "PIT, mode 0, reload 1", setup: pit(mode: 0, reload: 1), body: out(0x40, 1) + out(0x40, 0),
            endOfInterrupt: picEnd, divisor: slow, needsHostTime: true),
        // Not a value that the 8254 takes in this mode: no interrupt is promised.
        Storm(name: "PIT, mode 2, reload 1", setup: pit(mode: 2, reload: 1), endOfInterrupt: picEnd, comes: false),
        Storm(
            name: "RTC at 8 kHz",
            // Register A: rate 3; B: periodic interrupts, 24 hours
            setup: pics + out(0x70, 0x0a) + out(0x71, 0x23) + out(0x70, 0x0b) + out(0x71, 0x42),
            endOfInterrupt: out(0x70, 0x0c) + [0xe4, 0x71] + picEnd, divisor: 1000),
    ]

    /// One whose handler asks for the next interrupt: no CPU leaves its program an instruction between them.
    static let relentless = Storm(
        name: "TSC deadlines in the past, from the handler", setup: wrmsr(0x832, 0x4_0040) + wrmsr(0x6e0, 1),
        endOfInterrupt: wrmsr(0x6e0, 1) + apicEnd)

    // MARK: The guest

    private static let origin = 0x7c00
    private static let handler = 0x7e00

    /// As many turns as R15 can count: interrupts alone end the run.
    static let noTurn = -1

    /// Takes `count` interrupts (RBX) and then exits with status 0; R15 counts the turns of its loop.
    func source(count: Int, turns: Int) -> BootSource {
        var code: [UInt8] = [0xbf] + Self.word(0x10400)  // mov edi, IDT entry 40H
        code += [0xb9] + Self.word(16)  // mov ecx, 16
        code += [0xc7, 0x07] + Self.word(0x10_0000 | Self.handler)  // gate: mov dword [rdi], handler
        code += [0xc7, 0x47, 4] + Self.word(0x8e00)  // mov dword [rdi + 4], 8E00H
        code += [0x83, 0xc7, 16, 0xe2, 0xee]  // add edi, 16; loop gate
        let table = Self.origin + 0x1e0
        code += [0x0f, 0x01, 0x1c, 0x25] + Self.word(table)  // lidt [table]
        code += [0xb9] + Self.word(0x1b) + [0x0f, 0x32, 0x0d] + Self.word(0xc00) + [0x0f, 0x30]  // x2APIC
        code += Self.wrmsr(0x80f, 0x1ff) + [0x31, 0xdb, 0x45, 0x31, 0xff]  // xor ebx, ebx; xor r15d, r15d
        code += setup + [0xfb]  // sti
        let loop = code.count
        // A turn takes its time on every engine, or the turns would be over before the interrupts are.
        code += [0x49, 0xff, 0xc7, 0xf3, 0x90] + body  // inc r15; pause
        code += [0x48, 0x81, 0xfb] + Self.word(count) + [0x73, 13]  // cmp rbx, count; jae done
        code += [0x49, 0x81, 0xff] + Self.word(turns)  // cmp r15, turns
        code += [0x0f, 0x82] + Self.word(loop - code.count - 6)  // jb loop
        code += [0xfa, 0x31, 0xc0, 0xe6, 0xf4, 0xeb, 0xfe]  // done: cli; xor eax, eax; out 0xf4, al; jmp $
        code += [UInt8](repeating: 0x90, count: 0x1e0 - code.count)
        code += [0xff, 0x04] + Self.word(0x10000) + Self.word(0)
        code += [UInt8](repeating: 0x90, count: 0x200 - code.count)
        code += [0x50, 0x51, 0x52, 0x48, 0xff, 0xc3]  // push rax; push rcx; push rdx; inc rbx
        code += endOfInterrupt + [0x5a, 0x59, 0x58, 0x48, 0xcf]  // pop rdx; pop rcx; pop rax; iretq
        return .flat(.bytes(code, name: name), mode: .long64)
    }
}

extension MachineSuite {
    @Suite struct Storms {
        @Test("Interrupts come, and the program gets on", arguments: TestEngine.all, Storm.all)
        func storm(engine: TestEngine, storm: Storm) async throws {
            try engine.require(.wholeCPU)
            let wanted = setting("TRAPEZE_STORM_INTERRUPTS", default: 100_000)
            let count = max(wanted / storm.divisor, 20)
            let turns = storm.comes ? Storm.noTurn : 1_000_000
            let test = try TestMachine(
                storm.source(count: storm.comes ? count : 0x7fff_ffff, turns: turns), memory: 2 << 20,
                engine: engine.engine, clock: .host)
            let end = await test.run(limit: .seconds(60 + wanted / 20_000))
            #expect(end == .outcome(.exited(status: 0)), "\(end)")
            let cpu = try test.machine.exportState().cpus[0]
            if storm.comes { #expect(cpu.gpr[3] >= UInt64(count)) }
            // Its loop turned, too: no source keeps the CPU from it.
            #expect(cpu.gpr[15] > 0)
        }

        @Test("A storm that nobody ends is stopped", arguments: TestEngine.all, Storm.all + [Storm.relentless])
        func endless(engine: TestEngine, storm: Storm) async throws {
            try engine.require(.wholeCPU)
            let test = try TestMachine(
                storm.source(count: 0x7fff_ffff, turns: Storm.noTurn), memory: 2 << 20, engine: engine.engine,
                clock: .host)
            #expect(await test.run(limit: .milliseconds(200)) == .timeLimit)
        }

        @Test(
            "Counted time gets on, too", arguments: TestEngine.counting, Storm.all.filter { !$0.needsHostTime })
        func countedTime(engine: TestEngine, storm: Storm) async throws {
            try engine.require(.wholeCPU)
            let count = max(setting("TRAPEZE_STORM_INTERRUPTS", default: 100_000) / 100 / storm.divisor, 20)
            let turns = storm.comes ? Storm.noTurn : 1_000_000
            let test = try TestMachine(
                storm.source(count: storm.comes ? count : 0x7fff_ffff, turns: turns), memory: 2 << 20,
                engine: engine.engine, clock: .instructions)
            #expect(await test.run(limit: .seconds(120)) == .outcome(.exited(status: 0)))
        }
    }
}
