// A machine on which every exception ends in a HLT of its own, so that tests see what was delivered: vector, error code,
// saved RIP, CR2.

import Memory
import Testing
import VirtualCPU

/// What became of a piece of guest code.
struct TrapOutcome {
    let exit: Exit
    /// The exception or interrupt whose handler was reached; nil if the code came to its own HLT.
    let vector: Int?
    let error: UInt64?
    let savedRIP: UInt64?
    let savedFlags: UInt64?
    let state: CPUState
}

/// A `TestMachine` with a GDT, and with an IDT whose handlers halt.
struct TrapMachine {
    static let gdt: UInt64 = 0x2000
    static let idt: UInt64 = 0x3000
    private static let handlers: UInt64 = 0x4000
    private static let withErrorCode: Set<Int> = [8, 10, 11, 12, 13, 14, 17]

    let machine: TestMachine
    let mode: TestMode

    /// Where the handler of a vector is, 16 bytes.
    static func handler(of vector: UInt64) -> UInt64 { handlers + 16 * vector }

    /// Prepares `code` to run; `adjust` changes the state that it begins with.
    init(
        _ mode: TestMode, model: String = "host", code: [UInt8], isParavirtual: Bool = false, startDate: UInt64 = 0,
        clock: Clock = Clock(source: .host), _ adjust: (inout CPUState) -> Void = { _ in }
    ) throws {
        machine = try TestMachine(
            mode, code: code, model: model, clock: clock, isParavirtual: isParavirtual, startDate: startDate)
        self.mode = mode
        let memory = machine.memory
        let code0: UInt64 = mode == .long64 ? 0x00af_9b00_0000_ffff : 0x00cf_9b00_0000_ffff
        let table: [UInt64] = [0, code0, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff]
        for (index, descriptor) in table.enumerated() {
            try memory.writeInteger(descriptor, at: GuestPhysicalAddress(Self.gdt + UInt64(8 * index)))
        }
        for vector in 0..<64 as Range<UInt64> {
            let handler = Self.handler(of: vector)
            try memory.writeInteger(0xf4 as UInt8, at: GuestPhysicalAddress(handler))
            switch mode {
            case .real16: try memory.writeInteger(UInt32(handler), at: GuestPhysicalAddress(Self.idt + 4 * vector))
            case .protected32:
                let gate: UInt64 = handler | 8 << 16 | 0x8e << 40
                try memory.writeInteger(gate, at: GuestPhysicalAddress(Self.idt + 8 * vector))
            case .long64:
                let gate: UInt64 = handler | 8 << 16 | 0x8e << 40
                try memory.writeInteger(gate, at: GuestPhysicalAddress(Self.idt + 16 * vector))
                try memory.writeInteger(0 as UInt64, at: GuestPhysicalAddress(Self.idt + 16 * vector + 8))
            }
        }
        var state = TestMachine.state(mode)
        state.gdtr = TableState(base: Self.gdt, limit: 0x27)
        state.idtr = TableState(base: Self.idt, limit: 0x3ff)
        adjust(&state)
        try machine.vcpu.importState(state)
    }

    /// Runs to a HLT.
    func run() throws -> TrapOutcome {
        let exit = machine.vcpu.run(budget: 10_000)
        let state = try machine.vcpu.exportState()
        let offset = state.rip &- 1 &- Self.handlers
        guard exit == .halted, offset < 64 * 16, offset & 15 == 0 else {
            return TrapOutcome(exit: exit, vector: nil, error: nil, savedRIP: nil, savedFlags: nil, state: state)
        }
        let vector = Int(offset >> 4)
        let width: UInt64 = mode == .real16 ? 2 : mode == .protected32 ? 4 : 8
        func pushed(_ index: UInt64) throws -> UInt64 {
            let address = GuestPhysicalAddress(state.gpr[4] + index * width)
            let value = try machine.memory.readInteger(UInt64.self, at: address)
            return width == 8 ? value : value & (1 << (8 * width) - 1)
        }
        let hasError = mode != .real16 && Self.withErrorCode.contains(vector)
        let first: UInt64 = hasError ? 1 : 0
        return TrapOutcome(
            exit: exit, vector: vector, error: hasError ? try pushed(0) : nil, savedRIP: try pushed(first),
            savedFlags: try pushed(first + 2), state: state)
    }

    func read(_ address: UInt64) throws -> UInt64 {
        try machine.memory.readInteger(UInt64.self, at: GuestPhysicalAddress(address))
    }

    func write<T: FixedWidthInteger>(_ value: T, at address: UInt64) throws {
        try machine.memory.writeInteger(value, at: GuestPhysicalAddress(address))
    }
}

/// MOV EAX, value (and in 64-bit code too).
func movEAX(_ value: UInt32) -> [UInt8] { [0xb8] + littleEndian(value) }
/// MOV ECX, value
func movECX(_ value: UInt32) -> [UInt8] { [0xb9] + littleEndian(value) }
/// MOV EDX, value
func movEDX(_ value: UInt32) -> [UInt8] { [0xba] + littleEndian(value) }

func littleEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
