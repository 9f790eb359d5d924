// A debugger's breakpoints, watchpoints and single steps by KVM_SET_GUEST_DEBUG (api.rst, section 4.87): the CPU's own four
// debug registers, which the guest does not see while they are lent.

import CKVM
import VirtualCPU

/// What is asked for, and what each debug register stands for.
struct DebugRequest {
    var control = DebugControl()
    var registers: [Entry] = []

    /// What one debug register watches.
    struct Entry {
        var address: UInt64
        /// 1, 2, 4 or 8 bytes; 1 for instructions.
        var size: UInt64
        /// The watchpoint that it is a part of; nil for a breakpoint.
        var watchpoint: Watchpoint?

        /// R/W and LEN as DR7 has them (SDM volume 3, section 18.2.4).
        var bits: UInt64 {
            guard let watchpoint else { return 0 }
            let length: UInt64 = size == 1 ? 0 : size == 2 ? 1 : size == 8 ? 2 : 3
            return (watchpoint.kind == .write ? 1 : 3) | length << 2
        }
    }

    init() {}

    /// Spreads what is asked for over the registers.
    init(_ control: DebugControl) throws(EngineError) {
        self.control = control
        registers = control.breakpoints.sorted().map { Entry(address: $0, size: 1, watchpoint: nil) }
        for watchpoint in control.watchpoints.sorted(by: { $0.address < $1.address }) {
            guard watchpoint.kind != .read else {
                throw EngineError("engine 'kvm' cannot watch reads alone: debug registers watch reads and writes")
            }
            var address = watchpoint.address
            let end = watchpoint.address &+ watchpoint.size
            while address != end, registers.count <= 4 {
                // The largest naturally aligned piece.
                var size: UInt64 = 8
                while address % size != 0 || end &- address < size { size /= 2 }
                registers.append(Entry(address: address, size: size, watchpoint: watchpoint))
                address &+= size
            }
        }
        guard registers.count <= 4 else {
            throw EngineError("engine 'kvm' has 4 debug registers: fewer breakpoints and watchpoints, or smaller ones")
        }
    }
}

extension KVMVCPU {
    func setDebugControl(_ control: DebugControl) throws(EngineError) {
        let request = try DebugRequest(control)
        guard control != DebugControl() || debug.control != DebugControl() else { return }
        guard vm.capabilities.has(.guestDebug) else {
            throw EngineError("this host's KVM does not debug guests (KVM_CAP_SET_GUEST_DEBUG)")
        }
        var native = kvm_guest_debug()
        if !request.registers.isEmpty || control.singleStep { native.control = UInt32(KVM_GUESTDBG_ENABLE) }
        if !request.registers.isEmpty { native.control |= UInt32(KVM_GUESTDBG_USE_HW_BP) }
        if control.singleStep {
            native.control |= UInt32(KVM_GUESTDBG_SINGLESTEP)
            let blocks = UInt32(KVM_GUESTDBG_BLOCKIRQ)
            if control.holdsInterrupts, UInt32(truncatingIfNeeded: vm.capabilities[.guestDebug2]) & blocks != 0 {
                native.control |= blocks
            }
        }
        withUnsafeMutableBytes(of: &native.arch.debugreg) { bytes in
            let registers = bytes.bindMemory(to: UInt64.self)
            registers[7] = 1 << 10
            for (index, entry) in request.registers.enumerated() {
                registers[index] = entry.address
                registers[7] |= 2 << UInt64(2 * index) | entry.bits << UInt64(16 + 4 * index)
            }
        }
        let call: KVMCall = "KVM_SET_GUEST_DEBUG"
        try call.check(retrying { ckvm_set_guest_debug(descriptor.number, &native) })
        debug = request
    }

    /// A stop for the debugger; nil if it is none of its business.
    func takeDebugExit(_ run: UnsafeMutablePointer<kvm_run>) -> Exit? {
        let stop = run.pointee.debug.arch
        for (index, entry) in debug.registers.enumerated() where stop.dr6 >> UInt64(index) & 1 != 0 {
            guard let watchpoint = entry.watchpoint else { return .debug(.breakpoint(entry.address)) }
            return .debug(.watchpoint(watchpoint, address: entry.address))
        }
        return debug.control.singleStep ? .debug(.step) : nil
    }
}
