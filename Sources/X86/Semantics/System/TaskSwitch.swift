// Hardware task switches through 16-bit and 32-bit TSSs (SDM volume 3, section 8.3). What is found wrong before the new
// task's state is loaded faults in the old task; the rest faults in the new one, at its first instruction.

import CPrimitives

/// What makes the CPU switch tasks.
enum TaskSwitchReason {
    case jump
    case call
    case interruptReturn
    case event(Event)

    /// The old task is nested: it stays busy, and the new one links back to it.
    var nests: Bool {
        switch self {
        case .call, .event: true
        case .jump, .interruptReturn: false
        }
    }

    var ext: UInt16 { if case .event(let event) = self { event.ext } else { 0 } }
}

/// The dynamic part of a TSS, from either format.
private struct TaskState {
    var cr3: UInt64 = 0
    var rip: UInt64 = 0
    var flags: UInt64 = 0
    var gpr = InlineArray<8, UInt64>(repeating: 0)
    /// ES, CS, SS, DS, FS, GS
    var selectors = InlineArray<6, UInt16>(repeating: 0)
    var ldt: UInt16 = 0
    var traps = false
}

extension CPU {
    /// The TSS that a task gate or a back link names: in the GDT, available.
    func taskDescriptor(_ selector: UInt16, ext: UInt16) throws(GuestFault) -> Descriptor {
        let code = selector.errorCode | ext
        guard !selector.usesLDT else { throw .generalProtection(code) }
        let target = try descriptor(selector, ext: ext)
        guard target.isSystem, target.type == SystemType.tss || target.type == SystemType.tss16 else {
            throw .generalProtection(code)
        }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        return target
    }

    /// IRET with NT set.
    func returnToPreviousTask() throws(GuestFault) {
        let link = try loadSystem(UInt16.self, segment(.tr).pointee.base)
        guard !link.usesLDT else { throw .invalidTSS(link.errorCode) }
        let target = try descriptor(link, vector: Vector.invalidTSS)
        guard target.isSystem, target.type == SystemType.busyTSS || target.type == SystemType.busyTSS16 else {
            throw .invalidTSS(link.errorCode)
        }
        guard target.isPresent else { throw .segmentNotPresent(link.errorCode) }
        try switchTask(link, target, .interruptReturn)
    }

    func switchTask(
        _ selector: UInt16, _ target: Descriptor, _ reason: TaskSwitchReason
    ) throws(GuestFault) {
        let is32 = target.type & 8 != 0
        guard target.limit >= (is32 ? 0x67 : 0x2b) else { throw .invalidTSS(selector.errorCode | reason.ext) }
        let old = segment(.tr).pointee
        let oldDescriptor = descriptorAddress(old.selector & 0xfff8)
        let new = try readTask(target.base, is32: is32)
        var flags = rflags
        if case .interruptReturn = reason { flags &= ~RFLAGS.nt }
        // The last writes that can fault: the old TSS, the back link, the busy flags.
        try saveTask(old.base, is32: old.type & 8 != 0, flags: flags)
        if reason.nests { try storeSystem(old.selector, target.base) }
        if !reason.nests, let oldDescriptor { try setSystemBits(0, clearing: 2, oldDescriptor &+ 5) }
        if case .interruptReturn = reason {} else { try setSystemBits(2, target.address &+ 5) }

        var tr = target.segment(selector)
        tr.attributes |= 2
        segment(.tr).pointee = tr
        state.pointee.cr0 |= CR0.ts
        refreshFPUGates()
        state.pointee.dr7 &= ~0x155
        loadRegisters(new, is32: is32, nested: reason.nests)
        do throws(GuestFault) {
            if is32 && state.pointee.cr0 & CR0.pg != 0 { try loadCR3FromTask(new.cr3) }
            try loadSegments(new)
            if case .event(let event) = reason, let code = event.errorCode {
                var stack = currentStack(ext: event.ext)
                try stack.push(UInt64(code), size: is32 ? 4 : 2)
                stack.commit()
            }
            guard rip <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
        } catch {
            refreshDerivedState()
            return deliver(Event(error))
        }
        refreshDerivedState()
        if new.traps {
            // T: a #DB trap before the task's first instruction.
            state.pointee.dr6 |= DR6.bt
            deliver(Event(vector: Vector.debug, kind: .exception))
        }
    }

    // MARK: Reading and writing a TSS

    private func readTask(_ base: UInt64, is32: Bool) throws(GuestFault) -> TaskState {
        var task = TaskState()
        if is32 {
            task.cr3 = UInt64(try loadSystem(UInt32.self, base &+ 28))
            task.rip = UInt64(try loadSystem(UInt32.self, base &+ 32))
            task.flags = UInt64(try loadSystem(UInt32.self, base &+ 36))
            for n in 0..<8 { task.gpr[n] = UInt64(try loadSystem(UInt32.self, base &+ UInt64(40 + 4 * n))) }
            for n in 0..<6 { task.selectors[n] = try loadSystem(UInt16.self, base &+ UInt64(72 + 4 * n)) }
            task.ldt = try loadSystem(UInt16.self, base &+ 96)
            task.traps = try loadSystem(UInt16.self, base &+ 100) & 1 != 0
        } else {
            task.rip = UInt64(try loadSystem(UInt16.self, base &+ 14))
            task.flags = UInt64(try loadSystem(UInt16.self, base &+ 16))
            for n in 0..<8 { task.gpr[n] = UInt64(try loadSystem(UInt16.self, base &+ UInt64(18 + 2 * n))) }
            for n in 0..<4 { task.selectors[n] = try loadSystem(UInt16.self, base &+ UInt64(34 + 2 * n)) }
            task.ldt = try loadSystem(UInt16.self, base &+ 42)
        }
        return task
    }

    private func saveTask(_ base: UInt64, is32: Bool, flags: UInt64) throws(GuestFault) {
        func selector(_ n: Int) -> UInt16 { segment(UInt8(n)).pointee.selector }
        func low(_ n: Int) -> UInt64 { register(UInt8(n * 8), as: UInt64.self) }
        if is32 {
            try storeSystem(UInt32(truncatingIfNeeded: rip), base &+ 32)
            try storeSystem(UInt32(truncatingIfNeeded: flags), base &+ 36)
            for n in 0..<8 { try storeSystem(UInt32(truncatingIfNeeded: low(n)), base &+ UInt64(40 + 4 * n)) }
            for n in 0..<6 { try storeSystem(selector(n), base &+ UInt64(72 + 4 * n)) }
        } else {
            try storeSystem(UInt16(truncatingIfNeeded: rip), base &+ 14)
            try storeSystem(UInt16(truncatingIfNeeded: flags), base &+ 16)
            for n in 0..<8 { try storeSystem(UInt16(truncatingIfNeeded: low(n)), base &+ UInt64(18 + 2 * n)) }
            for n in 0..<4 { try storeSystem(selector(n), base &+ UInt64(34 + 2 * n)) }
        }
    }

    // MARK: Loading the new task

    private func loadRegisters(_ task: TaskState, is32: Bool, nested: Bool) {
        rip = task.rip
        rflags = task.flags & RFLAGS.defined | RFLAGS.reservedOne | (nested ? RFLAGS.nt : 0)
        for n in 0..<8 {
            // A 16-bit TSS has no upper halves. The manual leaves them open; CPUs set them.
            setRegister(UInt8(n * 8), to: is32 ? task.gpr[n] : task.gpr[n] | 0xffff_0000)
        }
        // Selectors first; the hidden parts follow, and whatever faults on the way finds the others unusable.
        let level = task.selectors[1].rpl
        for n in 0..<6 { segment(UInt8(n)).pointee = .null(task.selectors[n], dpl: n == 2 ? level : 0) }
        segment(.ldtr).pointee = .null(task.ldt)
    }

    private func loadSegments(_ task: TaskState) throws(GuestFault) {
        if !task.ldt.isNullSelector {
            let code = task.ldt.errorCode
            guard !task.ldt.usesLDT else { throw .invalidTSS(code) }
            let ldt = try descriptor(task.ldt, vector: Vector.invalidTSS)
            guard ldt.isSystem, ldt.type == SystemType.ldt, ldt.isPresent else { throw .invalidTSS(code) }
            segment(.ldtr).pointee = ldt.segment(task.ldt)
        }
        if virtual8086 {
            for n in 0..<6 {
                if let register = SegmentRegister(rawValue: UInt8(n)) {
                    setRealModeSegment(register, task.selectors[n])
                }
            }
            return refreshDerivedState()
        }
        try loadTaskCode(task.selectors[1])
        refreshDerivedState()
        try loadTaskStack(task.selectors[2])
        refreshDerivedState()
        for n in [0, 3, 4, 5] { try loadTaskData(UInt8(n), task.selectors[n]) }
    }

    private func loadTaskCode(_ selector: UInt16) throws(GuestFault) {
        let code = selector.errorCode
        guard !selector.isNullSelector else { throw .invalidTSS(code) }
        let target = try descriptor(selector, vector: Vector.invalidTSS)
        guard target.isCode, target.isConforming ? target.dpl <= selector.rpl : target.dpl == selector.rpl else {
            throw .invalidTSS(code)
        }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        try markAccessed(target)
        segment(.cs).pointee = target.segment(selector)
    }

    private func loadTaskStack(_ selector: UInt16) throws(GuestFault) {
        let code = selector.errorCode
        guard !selector.isNullSelector else { throw .invalidTSS(code) }
        let target = try descriptor(selector, vector: Vector.invalidTSS)
        guard target.isWritableData, target.dpl == cpl, selector.rpl == cpl else { throw .invalidTSS(code) }
        guard target.isPresent else { throw .stackFault(code) }
        try markAccessed(target)
        segment(.ss).pointee = target.segment(selector)
    }

    private func loadTaskData(_ number: UInt8, _ selector: UInt16) throws(GuestFault) {
        guard !selector.isNullSelector else { return }
        let code = selector.errorCode
        let target = try descriptor(selector, vector: Vector.invalidTSS)
        guard target.isReadable, target.isConforming || max(selector.rpl, cpl) <= target.dpl else {
            throw .invalidTSS(code)
        }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        try markAccessed(target)
        segment(number).pointee = target.segment(selector)
    }
}
