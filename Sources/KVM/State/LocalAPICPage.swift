// The local APIC in the kernel and its neutral state: the same page of registers, and a timer that one counts down and the
// other knows the end of.

import CKVM
import VirtualCPU

extension KVMVCPU {
    private static let lvtTimer = 0x32
    private static let initialCount = 0x38
    private static let currentCount = 0x39
    private static let divide = 0x3e

    /// log2 of the timer's divisor (SDM volume 3, figure 11-10).
    private static func divisorShift(_ registers: [UInt32]) -> UInt64 {
        let value = UInt64(registers[divide])
        return ((value >> 1 & 4 | value & 3) + 1) & 7
    }

    private static func timerMode(_ registers: [UInt32]) -> UInt32 { registers[lvtTimer] >> 17 & 3 }

    /// The page as it is in the kernel.
    func localAPICRegisters() throws(EngineError) -> [UInt32] {
        var page = kvm_lapic_state()
        let call: KVMCall = "KVM_GET_LAPIC"
        try call.check(retrying { ckvm_get_lapic(descriptor.number, &page) })
        return (0..<64).map { ckvm_lapic_register(&page, UInt32($0) * 16) }
    }

    /// Replaces the page in the kernel, whose timer starts with its current count.
    func setLocalAPICRegisters(_ registers: [UInt32]) throws(EngineError) {
        var page = kvm_lapic_state()
        for (index, value) in registers.enumerated() { ckvm_set_lapic_register(&page, UInt32(index) * 16, value) }
        let call: KVMCall = "KVM_SET_LAPIC"
        try call.check(retrying { ckvm_set_lapic(descriptor.number, &page) })
    }

    /// - Parameter state: the rest, with what the system registers and events tell of the local APIC.
    func exportLocalAPIC(_ state: CPUState) throws(EngineError) -> LocalAPICState {
        var apic = state.localAPIC
        apic.registers = try localAPICRegisters()
        // KVM may offer to suppress EOI broadcasts, which this machine's local APICs do not.
        apic.registers[3] = LocalAPICState(id: 0).registers[3]
        apic.tscDeadline = 0
        switch Self.timerMode(apic.registers) {
        case 0, 1:
            let left = UInt64(apic.registers[Self.currentCount])
            if left != 0 {
                apic.timerDeadline = vm.clock.now() &+ left << Self.divisorShift(apic.registers)
            } else if apic.registers[Self.initialCount] == 0, let count = aside.expiredCount {
                apic.registers[Self.initialCount] = count
            }
        case 2:
            let deadline = try tscDeadline()
            apic.tscDeadline = deadline
            if deadline != 0 {
                let left = deadline > state.tsc ? deadline - state.tsc : 0
                let product = left.multipliedFullWidth(by: 1_000_000_000)
                let (end, beyond) =
                    product.high < tscFrequency
                    ? vm.clock.now().addingReportingOverflow(tscFrequency.dividingFullWidth(product).quotient)
                    : (0, true)
                apic.timerDeadline = beyond ? .max : end
            }
        default: break
        }
        if id == 0 { apic.lint0 = intr.load(ordering: .sequentiallyConsistent) }
        return apic
    }

    func importLocalAPIC(_ apic: LocalAPICState) throws(EngineError) {
        var registers = apic.registers
        aside.expiredCount = nil
        if Self.timerMode(registers) < 2 {
            let now = vm.clock.now()
            if let deadline = apic.timerDeadline {
                // At least one, or the timer would never end.
                let left = deadline > now ? deadline - now : 1
                let shift = Self.divisorShift(registers)
                registers[Self.currentCount] = UInt32(clamping: (left + (1 << shift) - 1) >> shift)
            } else {
                registers[Self.currentCount] = 0
                if registers[Self.initialCount] != 0 { aside.expiredCount = registers[Self.initialCount] }
                registers[Self.initialCount] = 0
            }
        }
        try setLocalAPICRegisters(registers)
    }
}
