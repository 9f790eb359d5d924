// The system instructions' handlers, by mnemonic.

import CPrimitives

/// The handler of a decoded system instruction; nil if it isn't one.
func systemHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? {
    guard let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) else { return nil }
    return segmentHandler(mnemonic) ?? transferHandler(mnemonic) ?? registerHandler(mnemonic)
        ?? tableHandler(mnemonic) ?? serviceHandler(mnemonic)
}

/// Loads and stores of segment registers.
private func segmentHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .pushSegment: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.pushSegment(i) } }
    case .popSegment: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.popSegment(i) } }
    case .movFromSegment: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.movFromSegment(i) } }
    case .movToSegment: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.movToSegment(i) } }
    case .lds: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadFarPointer(i, .ds) } }
    case .les: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadFarPointer(i, .es) } }
    case .lss: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadFarPointer(i, .ss) } }
    case .lfs: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadFarPointer(i, .fs) } }
    case .lgs: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadFarPointer(i, .gs) } }
    case .swapgs: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.swapGS() } }
    case .rdfsbase: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.readBase(.fs, i) } }
    case .rdgsbase: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.readBase(.gs, i) } }
    case .wrfsbase: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.writeBase(.fs, i) } }
    case .wrgsbase: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.writeBase(.gs, i) } }
    default: nil
    }
}

/// Transfers of control, and what opens and closes the way for interrupts.
private func transferHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .callFar: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.callFar(i) } }
    case .callFarIndirect: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.callFarIndirect(i) } }
    case .jmpFar: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.jumpFar(i) } }
    case .jmpFarIndirect: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.jumpFarIndirect(i) } }
    case .retFar: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.returnFar(i) } }
    case .iret: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.returnFromInterrupt(i) } }
    case .int: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.interrupt(i) } }
    case .int3:
        { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.softwareInterrupt(vector: Vector.breakpoint) } }
    case .into: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.interruptOnOverflow() } }
    case .int1: { s, _ in CPU(s).interruptDebug() }
    case .syscall: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.systemCall() } }
    case .sysret: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.systemReturn(i) } }
    case .sysenter: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.systemEnter() } }
    case .sysexit: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.systemExit(i) } }
    case .cli: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.clearInterruptFlag() } }
    case .sti: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.setInterruptFlag() } }
    case .stac: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.setAlignmentFlag(true) } }
    case .clac: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.setAlignmentFlag(false) } }
    case .hlt: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.halt() } }
    default: nil
    }
}

/// Control, debug and model-specific registers.
private func registerHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .movFromCR: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.moveFromCR(i) } }
    case .movToCR: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.moveToCR(i) } }
    case .movFromDR: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.moveFromDR(i) } }
    case .movToDR: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.moveToDR(i) } }
    case .clts: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.clearTaskSwitched() } }
    case .smsw: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.storeMachineStatusWord(i) } }
    case .lmsw: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadMachineStatusWord(i) } }
    case .rdmsr: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.readMSR() } }
    case .wrmsr: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.writeMSR() } }
    case .xgetbv: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.getExtendedControlRegister() } }
    case .rdpkru: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.readProtectionKeyRights() } }
    case .wrpkru: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.writeProtectionKeyRights() } }
    case .xsetbv: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.setExtendedControlRegister() } }
    default: nil
    }
}

/// Descriptor tables, selectors and translations.
private func tableHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .sgdt:
        { s, i in execute(s) { cpu throws(GuestFault) in try cpu.storeTable(cpu.state.pointee.gdtr, i) } }
    case .sidt:
        { s, i in execute(s) { cpu throws(GuestFault) in try cpu.storeTable(cpu.state.pointee.idtr, i) } }
    case .lgdt:
        { s, i in execute(s) { cpu throws(GuestFault) in cpu.state.pointee.gdtr = try cpu.tableOperand(i) } }
    case .lidt:
        { s, i in execute(s) { cpu throws(GuestFault) in cpu.state.pointee.idtr = try cpu.tableOperand(i) } }
    case .sldt: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.storeSystemSelector(.ldtr, i) } }
    case .str: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.storeSystemSelector(.tr, i) } }
    case .lldt: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadLDT(i) } }
    case .ltr: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadTaskRegister(i) } }
    case .lar: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadAccessRights(i) } }
    case .lsl: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loadSegmentLimit(i) } }
    case .verr: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.verify(i, writing: false) } }
    case .verw: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.verify(i, writing: true) } }
    case .arpl: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.adjustRPL(i) } }
    case .invlpg: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.invalidatePage(i) } }
    case .invpcid: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.invalidatePCID(i) } }
    default: nil
    }
}

/// Ports, time, identity, caches, and what no model offers.
private func serviceHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .in: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.input(i) } }
    case .out: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.output(i) } }
    case .ins: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.inputString(i) } }
    case .outs: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.outputString(i) } }
    case .rdtsc: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.readTimeStampCounter() } }
    case .rdtscp: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.readTimeStampCounterAndID() } }
    case .rdpmc: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.readPerformanceCounter() } }
    case .rdpid: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.readProcessorID(i) } }
    case .cpuid: { s, _ in CPU(s).identify() }
    case .rdrand: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.random(i, .rdrand) } }
    case .rdseed: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.random(i, .rdseed) } }
    case .invd, .wbinvd: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.requirePrivilege() } }
    case .clflush: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.flushLine(i) } }
    case .clflushopt:
        { s, i in
            execute(s) { cpu throws(GuestFault) in
                try cpu.require(.clflushopt)
                try cpu.flushLine(i)
            }
        }
    case .clwb:
        { s, i in
            execute(s) { cpu throws(GuestFault) in
                try cpu.require(.clwb)
                try cpu.flushLine(i)
            }
        }
    // A store is durable once it is done.
    case .pcommit: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.require(.pcommit) } }
    case .mfence: { _, _ in fence() }
    case .prefetch, .cldemote, .lfence, .sfence: { _, _ in }
    case .vmcall, .vmmcall: { s, _ in execute(s) { cpu throws(GuestFault) in try cpu.hypercall() } }
    case .monitor, .mwait, .rsm: { s, _ in execute(s) { _ throws(GuestFault) in throw .invalidOpcode } }
    default: nil
    }
}
